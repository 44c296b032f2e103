//! One window of a browser: open a page, look, type, click, run JavaScript, take a picture.

use std::{
    fs,
    path::Path,
    slice,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    Browser, Engine, Script,
    webdriver::{Driver, Element},
};
use crate::system;

/// How long a document may take.
const LOADING: Duration = Duration::from_secs(60);

/// How long a parsed one is waited for until all that it names is there.
const HELD_BACK: Duration = Duration::from_secs(15);

/// Which adapter the page finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gpu {
    /// None: `requestAdapter` gives null.
    None,
    /// Chromium's own software adapter.
    SwiftShader,
}

/// A window. It closes with this value.
pub struct Session<'driver> {
    driver: &'driver Driver,
    id: String,
}

/// Deletes what pages of an origin can keep.
const FORGET: Script = Script::new("", include_str!("session.js"), "forget");

/// Counts it.
const COUNT_KEPT: Script = Script::new("", include_str!("session.js"), "countKept");

impl<'driver> Session<'driver> {
    /// Opens a window of some 1280 × 900 in a fresh profile of a browser that the driver can drive.
    pub fn open(driver: &'driver Driver, browser: &Browser, gpu: Gpu) -> Result<Self> {
        let program = &browser.program;
        let own = match browser.engine {
            Engine::Chromium => chromium(program, gpu),
            Engine::Firefox => json!({
                "browserName": "firefox",
                "moz:firefoxOptions": { "binary": program, "args": ["-headless", "-width", "1280", "-height", "900"] },
            }),
            Engine::Webkit => json!({ "webkitgtk:browserOptions": { "binary": program, "args": ["--automation"] } }),
        };
        let mut capabilities = json!({
            "timeouts": { "script": 600_000 },
            // The driver's own wait for a page is not to be had: its news of the end of a load gets lost now and then, and
            // every command after that waits for it. `goto` looks at the document instead.
            "pageLoadStrategy": "none",
        });
        for (name, value) in own.as_object().into_iter().flatten() {
            capabilities[name] = value.clone();
        }
        let id = driver.open(capabilities).with_context(|| format!("{:?} did not start", driver.browser.engine))?;
        Ok(Self { driver, id })
    }

    /// Makes it a window as it was at first, in a profile that knows nothing of the origin that `blank` is an empty document of. What was done
    /// on others stays; a server of a test's own has a port of its own. `false` where it has to be opened anew after all.
    pub fn renew(&self, blank: &str) -> Result<bool> {
        self.post("frame", &json!({ "id": null }))?;
        self.goto(blank)?;
        self.driver.delete(&format!("/session/{}/cookie", self.id))?;
        self.call(FORGET, Value::Null)?;
        // A service worker goes with the last document that it serves.
        self.goto(blank)?;
        if self.call(COUNT_KEPT, Value::Null)? != 0 {
            return Ok(false);
        }
        let before = self.tabs()?;
        let fresh = self.post("window/new", &json!({ "type": "tab" }))?["handle"].take();
        for tab in before.as_array().into_iter().flatten() {
            self.go_to_tab(tab)?;
            self.close_tab()?;
        }
        self.go_to_tab(&fresh)?;
        Ok(true)
    }

    fn post(&self, command: &str, body: &Value) -> Result<Value> {
        self.driver.post(&format!("/session/{}/{command}", self.id), body)
    }

    fn get(&self, command: &str) -> Result<Value> {
        self.driver.get(&format!("/session/{}/{command}", self.id))
    }

    /// Opens an address and waits until its document is complete; where something holds that back, until it has been there for a while.
    pub fn goto(&self, address: &str) -> Result<()> {
        self.run("window.isLeft = true", &[])?;
        self.post("url", &json!({ "url": address }))?;
        self.arrive(address)
    }

    /// Opens the same document anew, as the reader's button does.
    pub fn reload(&self) -> Result<()> {
        self.run("window.isLeft = true; location.reload()", &[])?;
        self.arrive("the same address")
    }

    /// Goes to the page before. A script that did would be run once more where the first run has led away from it.
    pub fn back(&self) -> Result<()> {
        self.post("back", &json!({})).map(drop)
    }

    /// Waits for the document that follows.
    fn arrive(&self, address: &str) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < LOADING {
            // Between two documents there is none to ask. A browser's first, empty one may be exchanged for another of its kind.
            let state =
                self.run("return window.isLeft || location.href === 'about:blank' ? 'left' : document.readyState", &[]);
            let state = state.as_ref().ok().and_then(Value::as_str).unwrap_or_default();
            if state == "complete" || state == "interactive" && start.elapsed() > HELD_BACK {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{address} did not open in {LOADING:?}")
    }

    /// The names of the tabs, this one among them.
    pub fn tabs(&self) -> Result<Value> {
        self.get("window/handles")
    }

    /// Opens an empty tab and goes there; gives its name.
    pub fn open_tab(&self) -> Result<Value> {
        let tab = self.post("window/new", &json!({ "type": "tab" }))?["handle"].take();
        self.go_to_tab(&tab)?;
        Ok(tab)
    }

    pub fn go_to_tab(&self, tab: &Value) -> Result<()> {
        self.post("window", &json!({ "handle": tab })).map(drop)
    }

    /// Closes the tab that is looked at; another is to be gone to.
    pub fn close_tab(&self) -> Result<()> {
        self.driver.delete(&format!("/session/{}/window", self.id)).map(drop)
    }

    /// The first element that the selector finds.
    pub fn find(&self, selector: &str) -> Result<Element> {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }));
        Element::from_value(&found.with_context(|| format!("there is no {selector}"))?)
    }

    pub fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.post(&format!("element/{}/click", element.id()), &json!({}))
            .map(drop)
            .with_context(|| format!("cannot click {selector}"))
    }

    /// Types into an element, key by key. Characters of the private use area are WebDriver's named keys.
    pub fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector)?;
        let typed = self.post(&format!("element/{}/value", element.id()), &json!({ "text": text }));
        typed.map(drop).with_context(|| format!("cannot type into {selector}"))
    }

    pub fn clear(&self, selector: &str) -> Result<()> {
        let element = self.find(selector)?;
        self.post(&format!("element/{}/clear", element.id()), &json!({})).map(drop)
    }

    /// Presses keys with nothing but the focus to say where they go.
    pub fn press(&self, keys: &str) -> Result<()> {
        let strokes = keys
            .chars()
            .flat_map(|key| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]);
        let actions =
            json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>() }] });
        self.post("actions", &actions).map(drop)
    }

    /// Moves the mouse over an element.
    pub fn hover(&self, element: &Element) -> Result<()> {
        let origin = json!({ "element-6066-11e4-a52e-4f735466cecf": element.id() });
        let step = json!({ "type": "pointerMove", "duration": 50, "x": 0, "y": 0, "origin": origin });
        let mouse =
            json!({ "type": "pointer", "id": "mouse", "parameters": { "pointerType": "mouse" }, "actions": [step] });
        self.post("actions", &json!({ "actions": [mouse] })).map(drop)
    }

    /// Goes into a frame: whatever comes after is about its document.
    pub fn enter(&self, selector: &str) -> Result<()> {
        let frame = self.find(selector)?;
        self.post("frame", &json!({ "id": { "element-6066-11e4-a52e-4f735466cecf": frame.id() } })).map(drop)
    }

    /// Runs the body of a function in the page and returns what it returns.
    pub fn run(&self, body: &str, arguments: &[Value]) -> Result<Value> {
        self.post("execute/sync", &json!({ "script": body, "args": arguments }))
    }

    /// Runs the body of an `async` function in the page and waits for it. What it throws is the error, with its code.
    pub fn run_async(&self, body: &str, arguments: &[Value]) -> Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             (async (...args) => {{ {body} }})(...Array.from(arguments).slice(0, -1)).then(
                 (value) => done({{ value: value === undefined ? null : value }}),
                 (error) => done({{ thrown: `${{error?.code ?? error?.name ?? 'thrown'}}: ${{error?.message ?? error}}`, stack: String(error?.stack ?? '') }}));"
        );
        let mut outcome = self.post("execute/async", &json!({ "script": script, "args": arguments }))?;
        if let Some(thrown) = outcome["thrown"].as_str() {
            bail!("{thrown}\n{}", outcome["stack"].as_str().unwrap_or_default());
        }
        Ok(outcome["value"].take())
    }

    /// Calls a function in the page and waits for it. What it throws is the error, with its code.
    pub fn call(&self, script: Script, argument: Value) -> Result<Value> {
        self.run_async(&script.body(), &[argument])
    }

    /// The text of an element as a reader sees it; empty where there is none.
    pub fn text(&self, selector: &str) -> Result<String> {
        let text = self.run("return document.querySelector(arguments[0])?.innerText ?? ''", &[json!(selector)])?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until a JavaScript expression is true.
    pub fn wait_for(&self, expression: &str, seconds: u64) -> Result<()> {
        self.wait_for_with(expression, &Value::Null, seconds)
    }

    /// Waits until one is true of a value, which it calls `arguments[0]`.
    pub fn wait_for_with(&self, expression: &str, value: &Value, seconds: u64) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) {
            if self.run(&format!("return Boolean({expression})"), slice::from_ref(value))? == Value::Bool(true) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let of = if value.is_null() { String::new() } else { format!(", of {value}") };
        bail!("after {seconds} s it is still not so that {expression}{of}")
    }

    /// A command of Chromium's own protocol.
    pub fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Shows the page as a window of that size in CSS pixels would, in light or in the dark.
    pub fn look_like(&self, width: u32, height: u32, phone: bool, dark: bool) -> Result<()> {
        let scale = if phone { 2 } else { 1 };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)?;
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", media).map(drop)
    }

    /// Takes a picture of what the window shows.
    pub fn screenshot(&self, file: &Path) -> Result<()> {
        let picture = self.get("screenshot")?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, base64(picture.as_str().context("the driver took no picture")?)?)?;
        Ok(())
    }

    /// What the console said at level SEVERE since the last call: errors, and requests that failed. Only Chromium tells.
    pub fn console_errors(&self) -> Result<Vec<String>> {
        if self.driver.browser.engine != Engine::Chromium {
            return Ok(vec![]);
        }
        let entries = self.post("se/log", &json!({ "type": "browser" }))?;
        let severe = entries.as_array().into_iter().flatten().filter(|entry| entry["level"] == "SEVERE");
        Ok(severe.filter_map(|entry| Some(entry["message"].as_str()?.to_owned())).collect())
    }
}

/// Chromium's own capabilities.
/// SwiftShader's code that zeroes workgroup memory is a line for every word of it, and takes most of the time that a pipeline does. No kernel
/// reads what it has not written; natively nothing is zeroed either.
const NO_WORKGROUP_INIT: &str = "--enable-dawn-features=disable_workgroup_init";

fn chromium(program: &Path, gpu: Gpu) -> Value {
    let mut arguments = vec![
        "--headless",
        "--window-size=1280,900",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-gpu-watchdog",
        "--disable-dev-shm-usage",
        // A name that is no localhost: over plain http a page there is in no secure context.
        "--host-resolver-rules=MAP lan.test 127.0.0.1",
    ];
    if system::is_root() {
        arguments.push("--no-sandbox");
    }
    if gpu == Gpu::SwiftShader {
        arguments.extend(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", NO_WORKGROUP_INIT]);
    }
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": { "binary": program, "args": arguments },
        "goog:loggingPrefs": { "browser": "ALL" },
    })
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        drop(self.driver.delete(&format!("/session/{}", self.id)));
    }
}

/// Decodes base64 (RFC 4648), the driver's way of sending a picture.
fn base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for symbol in text.bytes().filter(|symbol| !matches!(symbol, b'=' | b'\n' | b'\r')) {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("a picture that is not base64"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        assert_eq!(base64("Zm9vYmFy").unwrap(), b"foobar");
        assert_eq!(base64("Zm9vYg==").unwrap(), b"foob");
        assert!(base64("Zm9v!").is_err());
    }
}
