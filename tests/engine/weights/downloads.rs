//! Downloads over networks that break, stall and lie, with and without a place to keep the bytes.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::Future,
    rc::Rc,
    task::{Context, Waker},
};

use async_trait::async_trait;
use proptest::{collection::vec, option, prelude::*};
use sha2::{Digest, Sha256};
use vitrine::{
    Cancel, Error, ErrorCode, Result,
    weights::{
        ByteSource, WeightFile,
        download::{
            About, Answer, Body, Download, Expected, Fault, Patience, Store, Transport, parse_content_range,
            parse_sha256,
        },
    },
};

use super::torch_bytes::{Archive, Word, dict};

/// What befalls one connection.
#[derive(Debug, Clone)]
enum Trouble {
    NoAnswer,
    /// After so many bytes.
    Break(usize),
    Stall(usize),
    /// The body ends early, as if it were whole.
    Short(usize),
}

#[derive(Debug, Clone)]
struct Server {
    file: Rc<RefCell<Vec<u8>>>,
    version: Rc<RefCell<Option<String>>>,
    ranges: bool,
    says_size: bool,
    piece: usize,
    troubles: Rc<RefCell<VecDeque<Option<Trouble>>>>,
    /// The first byte of each request.
    asked: Rc<RefCell<Vec<u64>>>,
}

impl Server {
    fn new(file: impl Into<Vec<u8>>) -> Self {
        Self {
            file: Rc::new(RefCell::new(file.into())),
            version: Rc::default(),
            ranges: true,
            says_size: true,
            piece: 10,
            troubles: Rc::default(),
            asked: Rc::default(),
        }
    }

    fn troubled(self, troubles: impl IntoIterator<Item = Option<Trouble>>) -> Self {
        self.troubles.borrow_mut().extend(troubles);
        self
    }
}

#[async_trait(?Send)]
impl Transport for Server {
    async fn get(&self, start: u64) -> Result<Answer, Fault> {
        self.asked.borrow_mut().push(start);
        let trouble = self.troubles.borrow_mut().pop_front().flatten();
        if let Some(Trouble::NoAnswer) = trouble {
            return Err(Fault::Broken("no answer".into()));
        }
        let file = self.file.borrow();
        let start = if self.ranges { start } else { 0 };
        if start >= file.len() as u64 {
            return Err(Fault::PastTheEnd);
        }
        Ok(Answer {
            start,
            total: self.says_size.then_some(file.len() as u64),
            version: self.version.borrow().clone(),
            body: Box::new(Wire { left: file[start as usize..].to_vec(), sent: 0, piece: self.piece, trouble }),
        })
    }

    /// The clock runs only while nothing else does: a wait that is asked for is over at once.
    async fn sleep(&self, _milliseconds: u32) {}
}

struct Wire {
    left: Vec<u8>,
    sent: usize,
    piece: usize,
    trouble: Option<Trouble>,
}

#[async_trait(?Send)]
impl Body for Wire {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let mut count = self.piece.min(self.left.len());
        if let Some(Trouble::Break(after) | Trouble::Stall(after) | Trouble::Short(after)) = self.trouble {
            count = count.min(after.saturating_sub(self.sent));
            if count == 0 {
                match self.trouble {
                    Some(Trouble::Break(_)) => return Err(Fault::Broken("the line broke".into())),
                    Some(Trouble::Stall(_)) => std::future::pending().await,
                    _ => return Ok(None),
                }
            }
        }
        self.sent += count;
        let piece: Vec<u8> = self.left.drain(..count).collect();
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// What is kept from visit to visit.
#[derive(Debug, Default, Clone)]
struct Shelf {
    kept: Rc<RefCell<Kept>>,
    /// How many bytes there is room for.
    room: Option<usize>,
    unreadable: bool,
}

#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    about: Option<About>,
    complete: bool,
    discarded: bool,
}

#[async_trait(?Send)]
impl Store for Shelf {
    fn have(&self) -> u64 {
        self.kept.borrow().bytes.len() as u64
    }
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> Result<()> {
        if self.unreadable {
            return Err(Error::storage("unreadable"));
        }
        bytes.copy_from_slice(&self.kept.borrow().bytes[at as usize..][..bytes.len()]);
        Ok(())
    }
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let mut kept = self.kept.borrow_mut();
        if self.room.is_some_and(|room| kept.bytes.len() + bytes.len() > room) {
            return Err(Error::storage("no more room"));
        }
        kept.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn about(&self) -> Option<About> {
        self.kept.borrow().about.clone()
    }
    async fn begin(&mut self, about: &About) -> Result<()> {
        *self.kept.borrow_mut() = Kept { about: Some(about.clone()), ..Kept::default() };
        Ok(())
    }
    async fn complete(&mut self) -> Result<()> {
        self.kept.borrow_mut().complete = true;
        Ok(())
    }
    async fn discard(&mut self) {
        *self.kept.borrow_mut() = Kept { discarded: true, ..Kept::default() };
    }
}

fn file(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 256) as u8).collect()
}

fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    Some(Sha256::digest(bytes).into())
}

fn download(server: &Server, shelf: Option<&Shelf>, sha256: Option<[u8; 32]>) -> Download<Server> {
    let store = shelf.map(|s| Box::new(s.clone()) as Box<dyn Store>);
    let expected = Expected { size: None, sha256 };
    Download::new("m.gguf", "https://x.org/m.gguf", server.clone(), store, expected, Patience::default())
}

fn read(source: &impl ByteSource, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
    pollster::block_on(source.read(range))
}

fn finish(source: &impl ByteSource) -> Result<()> {
    pollster::block_on(source.finish())
}

#[test]
fn a_file_of_pytorchs_takes_a_request_for_its_beginning_its_end_and_its_tensors() {
    let storages: Vec<(String, Vec<u8>)> = (0..6).map(|key| (key.to_string(), file((1 << 20) + key))).collect();
    let storage: Vec<Word> = storages.iter().map(|(key, _)| Word::Storage("FloatStorage", key, 1 << 18)).collect();
    let names: Vec<String> = (0..6).map(|i| format!("w{i}")).collect();
    let tensors = storage.iter().map(|storage| Word::Tensor(storage, 0, &[1 << 18], &[1]));
    let items: Vec<(&str, Word)> = names.iter().map(String::as_str).zip(tensors).collect();
    let records: Vec<(&str, &[u8])> = storages.iter().map(|(key, bytes)| (&**key, &**bytes)).collect();
    let archive = Archive::new(dict(&items), &records).bytes();
    let server = Server { piece: 1 << 16, ..Server::new(archive.clone()) };
    let read_all = |shelf: Option<&Shelf>, server: &Server| {
        let opened = pollster::block_on(WeightFile::open(Rc::new(download(server, shelf, None)))).unwrap();
        for (name, (_, bytes)) in names.iter().zip(&storages) {
            assert!(pollster::block_on(opened.read_tensor(name)).unwrap() == bytes[..1 << 20], "{name}");
        }
        pollster::block_on(opened.finish(&Cancel::new())).unwrap();
    };
    read_all(None, &server);
    let first = (1 << 20) as u64;
    assert_eq!(server.asked.take(), [0, archive.len() as u64 - (256 << 10), first]);
    // Where the bytes are kept, they come once and in order.
    let shelf = Shelf::default();
    read_all(Some(&shelf), &server);
    assert_eq!(server.asked.take(), [0]);
    assert!(shelf.kept.borrow().complete && shelf.kept.borrow().bytes == archive);
    // Without ranges each way back begins at the beginning.
    let plain = Server { ranges: false, ..server };
    read_all(None, &plain);
    assert_eq!(plain.asked.take().len(), 3);
}

#[test]
fn one_request_serves_a_reader_that_goes_forward() {
    let server = Server::new(file(1000));
    let source = download(&server, None, None);
    assert_eq!(pollster::block_on(source.len()).unwrap(), 1000);
    for start in (0..1000).step_by(50) {
        assert_eq!(read(&source, start..start + 50).unwrap(), file(1000)[start as usize..][..50]);
    }
    finish(&source).unwrap();
    assert_eq!(*server.asked.borrow(), [0]);
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let troubles =
        [Some(Trouble::Break(300)), Some(Trouble::NoAnswer), Some(Trouble::Stall(200)), Some(Trouble::Short(95))];
    let server = Server::new(file(1000)).troubled(troubles);
    assert_eq!(read(&download(&server, None, None), 0..1000).unwrap(), file(1000));
    assert_eq!(*server.asked.borrow(), [0, 300, 300, 500, 595]);
}

#[test]
fn a_server_without_ranges_is_read_through() {
    let mut server = Server::new(file(1000)).troubled([Some(Trouble::Break(300)), Some(Trouble::Break(600))]);
    server.ranges = false;
    let source = download(&server, None, None);
    assert_eq!(read(&source, 0..400).unwrap(), file(1000)[..400]);
    assert_eq!(read(&source, 700..1000).unwrap(), file(1000)[700..]);
    assert_eq!(read(&source, 5..20).unwrap(), file(1000)[5..20]);
}

#[test]
fn a_server_that_does_not_say_the_size_is_read_to_its_end() {
    let mut server = Server::new(file(1000));
    server.says_size = false;
    let shelf = Shelf::default();
    let source = download(&server, Some(&shelf), sha256(&file(1000)));
    assert_eq!(pollster::block_on(source.len()).unwrap(), 1000);
    assert_eq!(read(&source, 0..1000).unwrap(), file(1000));
    finish(&source).unwrap();
    assert_eq!(*server.asked.borrow(), [0]);
    assert!(shelf.kept.borrow().discarded, "what cannot be told apart later is not kept");
}

#[test]
fn a_large_gap_is_jumped_and_a_way_back_is_found() {
    let bytes = file(4 << 20);
    let mut server = Server::new(bytes.clone());
    server.piece = 1 << 16;
    let source = download(&server, None, None);
    assert_eq!(read(&source, 0..10).unwrap(), bytes[..10]);
    assert_eq!(read(&source, 3 << 20..(3 << 20) + 10).unwrap(), bytes[3 << 20..][..10]);
    assert_eq!(read(&source, 20..30).unwrap(), bytes[20..30]);
    assert_eq!(*server.asked.borrow(), [0, 3 << 20, 20]);
}

#[test]
fn an_address_that_never_answers_is_given_up_soon_and_one_that_breaks_later_is_not() {
    let server = Server::new(file(100)).troubled(vec![Some(Trouble::NoAnswer); 9]);
    let error = read(&download(&server, None, None), 0..10).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Network);
    for part in ["https://x.org/m.gguf", "no answer", "2 attempts", "check"] {
        assert!(error.to_string().contains(part), "{error} does not say {part:?}");
    }
    let server = Server::new(file(100)).troubled([Some(Trouble::Break(20))]).troubled(vec![Some(Trouble::Stall(0)); 9]);
    let error = read(&download(&server, None, None), 0..100).unwrap_err();
    assert!(error.to_string().contains("no byte came for 30 s, and 5 attempts"), "{error}");
    assert_eq!(*server.asked.borrow(), [0, 20, 20, 20, 20]);
}

#[test]
fn a_web_page_is_no_model() {
    for page in ["<!DOCTYPE html><title>Log in</title>", "\n <HTML lang=en>"] {
        let error = read(&download(&Server::new(page), None, None), 0..10).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Network);
        assert!(error.to_string().contains("web page"), "{error}");
    }
}

#[test]
fn a_file_that_changes_under_way_is_not_mixed() {
    let server = Server::new(file(1000)).troubled([Some(Trouble::Break(300))]);
    let shelf = Shelf::default();
    let source = download(&server, Some(&shelf), None);
    read(&source, 0..300).unwrap();
    server.file.borrow_mut().push(1);
    let error = read(&source, 300..600).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Network);
    assert!(error.to_string().contains("changed"), "{error}");
    assert!(shelf.kept.borrow().bytes.is_empty());
}

#[test]
fn a_second_visit_asks_only_for_what_the_first_did_not_bring() {
    let server = Server::new(file(1000));
    let shelf = Shelf::default();
    read(&download(&server, Some(&shelf), None), 0..300).unwrap();
    assert_eq!(shelf.kept.borrow().bytes.len(), 300);
    let source = download(&server, Some(&shelf), sha256(&file(1000)));
    assert_eq!(read(&source, 0..1000).unwrap(), file(1000));
    assert!(!shelf.kept.borrow().complete);
    finish(&source).unwrap();
    assert!(shelf.kept.borrow().complete);
    assert_eq!(*server.asked.borrow(), [0, 300]);
}

#[test]
fn a_whole_file_that_was_never_checked_is_checked_without_fetching_it_again() {
    let server = Server::new(file(1000));
    let shelf = Shelf::default();
    let source = download(&server, Some(&shelf), None);
    read(&source, 0..10).unwrap();
    finish(&source).unwrap();
    let source = download(&server, Some(&shelf), sha256(&file(1000)));
    assert_eq!(read(&source, 0..1000).unwrap(), file(1000));
    finish(&source).unwrap();
    assert!(shelf.kept.borrow().complete && !shelf.kept.borrow().discarded);
}

#[test]
fn what_is_kept_of_another_file_is_begun_anew() {
    let server = Server::new(file(1000));
    *server.version.borrow_mut() = Some("\"one\"".into());
    let shelf = Shelf::default();
    read(&download(&server, Some(&shelf), None), 0..300).unwrap();
    *server.version.borrow_mut() = Some("\"two\"".into());
    *server.file.borrow_mut() = vec![9; 1000];
    assert_eq!(read(&download(&server, Some(&shelf), None), 0..1000).unwrap(), [9; 1000]);
    *server.file.borrow_mut() = vec![8; 400];
    assert_eq!(read(&download(&server, Some(&shelf), None), 0..400).unwrap(), [8; 400]);
    assert_eq!(shelf.kept.borrow().bytes, [8; 400]);
}

#[test]
fn bytes_with_another_sha256_are_a_corrupt_file_and_are_not_kept() {
    for kept in [true, false] {
        let server = Server::new(file(1000));
        let shelf = Shelf::default();
        let source = download(&server, kept.then_some(&shelf), sha256(b"something else"));
        read(&source, 0..1000).unwrap();
        let error = finish(&source).unwrap_err();
        assert_eq!(error.code(), ErrorCode::CorruptFile);
        assert!(error.to_string().contains("SHA-256"), "{error}");
        assert_eq!(shelf.kept.borrow().discarded, kept);
    }
}

#[test]
fn a_store_without_room_is_given_up_and_the_download_goes_on() {
    let server = Server::new(file(1000));
    let shelf = Shelf { room: Some(500), ..Shelf::default() };
    let source = download(&server, Some(&shelf), sha256(&file(1000)));
    let mut bytes = vec![];
    for start in (0..1000).step_by(125) {
        bytes.extend(read(&source, start..start + 125).unwrap());
    }
    assert_eq!(bytes, file(1000));
    finish(&source).unwrap();
    assert!(shelf.kept.borrow().discarded);
    let warnings = pollster::block_on(source.warnings());
    assert!(matches!(warnings.as_slice(), [one] if one.contains("no more room")), "{warnings:?}");
}

#[test]
fn a_store_that_does_not_read_back_is_given_up_and_the_bytes_come_again() {
    let server = Server::new(file(1000));
    let kept = Rc::new(RefCell::new(Kept {
        bytes: file(1000)[..600].into(),
        about: Some(About { total: 1000, version: None }),
        ..Kept::default()
    }));
    let shelf = Shelf { kept, unreadable: true, ..Shelf::default() };
    let source = download(&server, Some(&shelf), sha256(&file(1000)));
    assert_eq!(read(&source, 500..1000).unwrap(), file(1000)[500..]);
    finish(&source).unwrap();
}

#[test]
fn a_size_other_than_the_expected_one_is_refused() {
    let server = Server::new(file(1000));
    let expected = Expected { size: Some(999), sha256: None };
    let source = Download::new("m", "https://x.org/m", server, None, expected, Patience::default());
    let error = pollster::block_on(source.len()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Network);
    assert!(error.to_string().contains("1000") && error.to_string().contains("999"), "{error}");
}

#[test]
fn a_connection_that_was_let_go_is_made_again_where_it_is_needed() {
    let server = Server::new(file(1000));
    let source = download(&server, None, None);
    read(&source, 0..100).unwrap();
    source.release();
    assert_eq!(read(&source, 400..500).unwrap(), file(1000)[400..500]);
    assert_eq!(*server.asked.borrow(), [0, 100]);
}

/// A network that hangs once, for as long as anyone waits.
struct Hanging {
    server: Server,
    hung: RefCell<bool>,
}

#[async_trait(?Send)]
impl Transport for Hanging {
    async fn get(&self, start: u64) -> Result<Answer, Fault> {
        let mut answer = self.server.get(start).await?;
        if !self.hung.replace(true) {
            answer.body = Box::new(Wire { left: file(50), sent: 0, piece: 10, trouble: Some(Trouble::Stall(40)) });
        }
        Ok(answer)
    }
    async fn sleep(&self, _milliseconds: u32) {
        std::future::pending().await
    }
}

#[test]
fn a_read_that_is_dropped_half_way_leaves_the_source_whole() {
    let server = Server::new(file(1000));
    let transport = Hanging { server: server.clone(), hung: RefCell::new(false) };
    let source = Download::new("m", "https://x.org/m", transport, None, Expected::default(), Patience::default());
    {
        let mut reading = Box::pin(source.read(0..500));
        assert!(reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(read(&source, 0..1000).unwrap(), file(1000));
    assert_eq!(*server.asked.borrow(), [0, 40]);
}

#[test]
fn content_ranges_and_digests_are_read_as_they_are_written() {
    assert_eq!(parse_content_range("bytes 5-9/10"), (Some(5), Some(10)));
    assert_eq!(parse_content_range("bytes 5-9/*"), (Some(5), None));
    assert_eq!(parse_content_range("bytes */10"), (None, Some(10)));
    assert_eq!(parse_content_range("pages 1-2/3"), (None, None));
    assert_eq!(parse_content_range("bytes 99999999999999999999-/x"), (None, None));
    assert_eq!(parse_sha256(&"0F".repeat(32)).unwrap(), [15; 32]);
    for wrong in ["", "0f", &"0f".repeat(33), &"0g".repeat(32), &"é".repeat(32)] {
        assert_eq!(parse_sha256(wrong).unwrap_err().code(), ErrorCode::BadArgument, "{wrong}");
    }
}

fn trouble() -> impl Strategy<Value = Option<Trouble>> {
    option::of(prop_oneof![
        Just(Trouble::NoAnswer),
        (0_usize..3000).prop_map(Trouble::Break),
        (0_usize..3000).prop_map(Trouble::Stall),
        (0_usize..3000).prop_map(Trouble::Short),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Four troubles in a row at most: a fifth attempt is always good.
    #[test]
    fn every_byte_is_right_whatever_befalls_the_network(
        len in 1_usize..3000,
        piece in 1_usize..700,
        ranges in any::<bool>(),
        first in option::of((1_usize..3000).prop_map(Trouble::Break)),
        rest in vec(trouble(), 0..4),
        keep in option::of((option::of(0_usize..3000), any::<bool>())),
        earlier in option::of(0_usize..3000),
        hashed in any::<bool>(),
        reads in vec((0_usize..3000, 0_usize..800), 1..8),
    ) {
        let mut server = Server::new(file(len));
        (server.piece, server.ranges) = (piece, ranges);
        let shelf = keep.map(|(room, unreadable)| {
            let shelf = Shelf { room, unreadable, ..Shelf::default() };
            if let Some(earlier) = earlier {
                let mut kept = shelf.kept.borrow_mut();
                kept.bytes = file(len)[..earlier.min(len)].into();
                kept.about = Some(About { total: len as u64, version: None });
            }
            shelf
        });
        let server = server.troubled(std::iter::once(first).chain(rest));
        let source = download(&server, shelf.as_ref(), hashed.then(|| sha256(&file(len))).flatten());
        for (start, count) in reads {
            let start = start.min(len);
            let end = (start + count).min(len);
            prop_assert_eq!(read(&source, start as u64..end as u64).unwrap(), &file(len)[start..end]);
        }
        finish(&source).unwrap();
        if let Some(shelf) = shelf {
            let kept = shelf.kept.borrow();
            prop_assert!(kept.discarded || (kept.complete && kept.bytes == file(len)));
        }
    }
}
