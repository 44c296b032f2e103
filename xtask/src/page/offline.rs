//! Days without a connection: the pages after their server is gone.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, Result};

use super::{Test, Visit, ensure_that, open_page, painter, reader};

pub const TESTS: &[Test] = &[
    // Without a connection the network's own errors stand in the console.
    Test::new("all_three_pages_open_and_work_without_their_server", without_a_server)
        .everywhere()
        .expecting(&["ERR_CONNECTION_REFUSED", "ERR_FAILED"]),
    Test::new("every_page_opens_by_every_form_of_its_address_without_its_server", every_address)
        .expecting(&["ERR_CONNECTION_REFUSED", "ERR_FAILED"]),
];

/// A way to the test server that can be cut, so that browser and service worker alike lose it.
pub struct Cable {
    address: SocketAddr,
    is_cut: Arc<AtomicBool>,
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cable {
    /// Lays one to a server on this machine.
    pub fn lay(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let cable = Self { address: listener.local_addr()?, is_cut: Arc::default(), ends: Arc::default() };
        let (is_cut, ends) = (cable.is_cut.clone(), cable.ends.clone());
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if is_cut.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(far) = TcpStream::connect(server) else { continue };
                let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { continue };
                ends.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(near.try_clone().into_iter().chain(far.try_clone()));
                thread::spawn(move || pass_on(near, far));
                thread::spawn(move || pass_on(far_too, near_too));
            }
        });
        Ok(cable)
    }

    /// What the server is called at the near end.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        // The listener wakes up, sees it, and closes.
        drop(TcpStream::connect(self.address));
        for end in self.ends.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            drop(end.shutdown(Shutdown::Both));
        }
    }
}

/// Carries bytes one way until either side ends.
fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}

fn without_a_server(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let server = visit.address.strip_prefix("http://").context("another scheme")?.parse()?;
    let cable = Cable::lay(server)?;
    let at = |name: &str| format!("{}/{name}", cable.address());
    open_page(page, &at(""))?;
    page.wait_for("document.querySelector('#offline').innerText.length > 0", 120)?;
    cable.cut();
    let gone = page.run_async(
        "return await fetch(args[0]).then(() => 'there', () => 'gone')",
        &[at("nothing-of-the-kind").into()],
    )?;
    ensure_that!(gone == "gone", "the server still answers");
    open_page(page, &at(""))?;
    reader::write_some(page, "Once")?;
    open_page(page, &at("paint.html"))?;
    let picture = painter::paint(page, "a fox in the snow", "3")?;
    ensure_that!(picture.len() > 1000, "there is no picture");
    open_page(page, &at("walk.html"))?;
    page.wait_for("document.querySelector('#plane').dataset.tiles === '81'", 120)
}

fn every_address(visit: &Visit) -> Result<()> {
    let page = &visit.session;
    let server = visit.address.strip_prefix("http://").context("another scheme")?.parse()?;
    let cable = Cable::lay(server)?;
    let at = |name: &str| format!("http://{}/{name}", cable.address);
    open_page(page, &at(""))?;
    page.wait_for("document.querySelector('#offline').innerText.length > 0", 120)?;
    cable.cut();
    for (name, title) in [
        ("index.html", "Vitrine"),
        ("index.html?model=storyteller#prompt", "Vitrine"),
        ("?device=cpu", "Vitrine"),
        ("chat", "Vitrine: chat"),
        ("paint", "Vitrine: paint"),
        ("paint.html?model=illustrator", "Vitrine: paint"),
        ("walk.html?from=index.html", "Vitrine: walk"),
        ("walk/", "Vitrine: walk"),
    ] {
        open_page(page, &at(name)).with_context(|| format!("/{name} without its server"))?;
        let told = page.run("return document.title", &[])?;
        ensure_that!(told == title, "/{name} without its server is {told}");
    }
    page.goto(&at("widgets.html?theme=dark"))?;
    page.wait_for("document.querySelector('vitrine-text')?.shadowRoot", 30)?;
    page.goto(&at("embed.html#vitrine-text?seed=3"))?;
    page.wait_for("document.body.dataset.state === 'ready' && document.querySelector('#live > *').seed === 3", 30)?;
    page.wait_for("document.querySelector('#live > *').button.disabled === false", 60)
}
