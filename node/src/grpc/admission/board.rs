//! Where watched visitors stand: one look a second at all those of an event and partner, however many
//! streams watch them, and a word to each whose place has changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::ids::{SaleId, VisitorId};
use proto::channel::v1::Place;
use tokio::sync::watch;
use tokio::time::Instant;

use super::reader::Rooms;
use super::{Reader, VISITORS_MAX};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks at an empty board before it is taken down.
const EMPTY_LOOKS: u32 = 5;
const READ_LIMIT: Duration = Duration::from_secs(2);

type Key = (SaleId, u32);

/// The boards of a node.
#[derive(Clone, Default)]
pub struct Boards(Arc<Mutex<BTreeMap<Key, Arc<Board>>>>);

#[derive(Default)]
struct Board {
    watched: Mutex<Vec<Watched>>,
}

struct Watched {
    visitor: VisitorId,
    tell: watch::Sender<Place>,
}

impl Boards {
    /// Watches a visitor from a place that is known.
    pub fn watch(
        &self,
        rooms: &Rooms,
        reader: Reader,
        sale: SaleId,
        visitor: VisitorId,
        known: Place,
    ) -> watch::Receiver<Place> {
        let (tell, told) = watch::channel(known);
        let key = (sale, reader.partner.0);
        let mut boards = self.lock();
        let board = boards.entry(key).or_insert_with(|| {
            let board = Arc::new(Board::default());
            let look = look(
                self.clone(),
                Arc::clone(&board),
                rooms.clone(),
                reader,
                sale,
            );
            tokio::spawn(look);
            board
        });
        board.lock().push(Watched { visitor, tell });
        told
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Arc<Board>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all off the board whom somebody still watches.
    fn take(&self) -> Vec<Watched> {
        let mut watched = std::mem::take(&mut *self.lock());
        watched.retain(|watched| !watched.tell.is_closed());
        watched
    }

    fn put_back(&self, mut watched: Vec<Watched>) {
        let mut newer = self.lock();
        watched.append(&mut newer);
        *newer = watched;
    }
}

/// Looks until nobody watches any more.
async fn look(boards: Boards, board: Arc<Board>, rooms: Rooms, reader: Reader, sale: SaleId) {
    let mut empty = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let watched = board.take();
        match watched.is_empty() {
            true => empty += 1,
            false => empty = 0,
        }
        for part in watched.chunks(VISITORS_MAX) {
            let visitors = part.iter().map(|watched| watched.visitor).collect();
            let until = Instant::now() + READ_LIMIT;
            // Without an answer the next look tries again; the last word stands until then.
            if let Ok(places) = rooms.places(reader, sale, visitors, until).await {
                for (watched, place) in part.iter().zip(places) {
                    watched.tell.send_if_modified(|known| {
                        let is_new = *known != place;
                        *known = place;
                        is_new
                    });
                }
            }
        }
        board.put_back(watched);
        let mut boards = boards.lock();
        if empty >= EMPTY_LOOKS && board.lock().is_empty() {
            boards.remove(&(sale, reader.partner.0));
            return;
        }
    }
}
