"""A kernel of one widget, for a page that speaks with it over HTTP as a notebook's page does over its socket: `kernel.py CLASS ATTRIBUTES`.

The widget and its messages are the real ones; what carries them is this. It prints its port. `POST /message` takes a message of a comm and `POST /call` a method's name and its
arguments as JSON; both are answered by the messages for the page that came of it. `GET /traits` tells the widget's traits.
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import comm
from comm.base_comm import BaseComm

OUTBOX = []
COMMS = {}


class Comm(BaseComm):
    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        COMMS[self.comm_id] = self
        told = [base64.b64encode(bytes(each)).decode() for each in buffers or []]
        OUTBOX.append({"type": msg_type, "comm": self.comm_id, "data": data, "metadata": metadata, "buffers": told})


comm.create_comm = lambda *args, **keys: Comm(*args, **keys)

import vitrine_widgets  # noqa: E402  # its widgets open their comms as they are made

widget = getattr(vitrine_widgets, sys.argv[1])(**json.loads(sys.argv[2]))


def traits():
    outcome = {name: f"{value[:4].tobytes()!r}" if isinstance(value, memoryview) else value for name, value in widget.outcome.items()}
    return {"outcome": outcome, "state": widget.state, "error": widget.error, "version": widget.version, "id": widget.model_id}


class Door(BaseHTTPRequestHandler):
    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(traits())

    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null")
        if self.path == "/message":
            buffers = [memoryview(base64.b64decode(each)) for each in told.get("buffers", [])]
            COMMS[told["comm"]].handle_msg({"content": {"data": told["data"]}, "buffers": buffers})
        elif self.path == "/call":
            getattr(widget, told["method"])(*told["args"])
        elif self.path == "/set":
            setattr(widget, told["name"], told["value"])
        self.answer([OUTBOX.pop(0) for _ in range(len(OUTBOX))])

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Door)
print(server.server_port, flush=True)
server.serve_forever()
