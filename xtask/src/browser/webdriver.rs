//! A WebDriver client (W3C WebDriver 2), blocking, as much of it as we use. The HTTP client is the one that the test runner
//! of wasm-bindgen brings along, so it costs nothing to build.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::system::Chromium;

/// The key under which WebDriver wraps an element (section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A running chromedriver; it ends with this value.
pub struct Driver {
    child: Child,
    address: String,
    agent: ureq::Agent,
}

/// An element of the page, as the driver names it.
#[derive(Debug, Clone)]
pub struct Element(String);

impl Driver {
    /// Starts chromedriver on a port of its own choice.
    pub fn start(chromium: &Chromium) -> Result<Self> {
        let mut child = Command::new(&chromium.driver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("could not start {}", chromium.driver.display()))?;
        let stdout = child.stdout.take().context("chromedriver has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok()
        });
        // chromedriver stops when nobody reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        let port = port.context("chromedriver did not say on which port it listens")?;
        let configuration =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(700)));
        Ok(Self { child, address: format!("http://127.0.0.1:{port}"), agent: configuration.build().into() })
    }

    /// The number of its process, under which the browser's run.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Opens a session and returns its name.
    pub fn open(&self, capabilities: Value) -> Result<String> {
        let answer = self.post("/session", &json!({ "capabilities": { "alwaysMatch": capabilities } }))?;
        Ok(answer["sessionId"].as_str().context("chromedriver opened no session")?.to_owned())
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let response = self.agent.post(format!("{}{path}", self.address)).send_json(body);
        unwrap(path, response)
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        unwrap(path, self.agent.get(format!("{}{path}", self.address)).call())
    }

    pub fn delete(&self, path: &str) -> Result<Value> {
        unwrap(path, self.agent.delete(format!("{}{path}", self.address)).call())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Element {
    pub fn from_value(value: &Value) -> Result<Self> {
        Ok(Self(value[ELEMENT].as_str().context("the driver named no element")?.to_owned()))
    }

    /// The name in the driver's addresses.
    pub fn id(&self) -> &str {
        &self.0
    }
}

/// The value of an answer, or the driver's own message.
fn unwrap(path: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value> {
    let mut response = response.with_context(|| format!("chromedriver did not answer {path}"))?;
    let mut answer: Value = response
        .body_mut()
        .with_config()
        .limit(256 << 20)
        .read_json()
        .with_context(|| format!("chromedriver did not answer {path} in JSON"))?;
    let value = answer["value"].take();
    if response.status().is_success() {
        return Ok(value);
    }
    let message = value["message"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
    bail!("{}: {message}", value["error"].as_str().unwrap_or("webdriver error"))
}
