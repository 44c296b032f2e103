project = "Notes"
extensions = ["myst_parser"]
html_theme = "alabaster"
html_static_path = ["_static"]
html_js_files = [("vitrine/widgets.js", {"type": "module"})]
