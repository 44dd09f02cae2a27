//! One node as a process of its own, with an event of seats and standing places on sale.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use cluster::components::{Net, WallClock};
use onsale::config::Config;
use onsale::load::call::{Call, Id, Line};
use onsale::load::connect::{self, Bearer, MachineClock, Tcp};
use onsale::load::keys::Keys;
use onsale::load::unary::{self, Sales};
use onsale::local::api::{self, Api, NewEvent};
use onsale::local::{Local, Profile, Settings, metrics};
use onsale::plan;
use prost::Message as _;
use proto::channel::v1::catalogue_service_client::CatalogueServiceClient;
use proto::channel::v1::{GetSeatMapRequest, SeatMap};
use serde_json::Value;
use tonic::Request;
use tonic::service::Interceptor as _;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// More than buyers are at any time.
const PLACES: u32 = 10_000;

pub struct Node {
    pub event: u64,
    /// A section with rows, and its number of seats.
    pub seated: (u16, u32),
    /// A section where people stand.
    pub standing: u16,
    partner_id: u32,
    key: String,
    local: Local,
}

impl Node {
    pub fn start(configure: impl FnOnce(&mut Config)) -> Node {
        let mut base = Config::default();
        configure(&mut base);
        let local = Local::start(Settings {
            executable: PathBuf::from(env!("CARGO_BIN_EXE_onsale")),
            nodes: 1,
            profile: Profile::Fast,
            data: None,
            base,
        })
        .expect("a node starts");
        let api = local.api();
        let partner = api.partner("Edge").expect("a partner is made");
        let event = api.open_event(&NewEvent {
            name: "Edge",
            venue: "Bowl",
            test_mode: true,
            hold_ttl_s: 1800,
            plan: &plan::bowl(PLACES).to_json(),
            dedupe: false,
        });
        Node {
            event: event.expect("an event is opened").event_id,
            seated: (0, 0),
            standing: 0,
            partner_id: partner.partner_id,
            key: partner.key,
            local,
        }
    }

    /// Finds out what the venue has, as a partner does.
    pub async fn look_round(&mut self) {
        let request = self.with_key(GetSeatMapRequest {
            event_id: self.event,
            if_none_match: String::new(),
        });
        let mut catalogue = CatalogueServiceClient::new(self.channel().await);
        let answer = catalogue.get_seat_map(request).await.expect("has a map");
        let map = answer.into_inner().seat_map.expect("is sent");
        let map = SeatMap::decode(map).expect("decodes");
        for (number, section) in (0..).zip(&map.sections) {
            let seats: usize = section.rows.iter().map(|row| row.seats.len()).sum();
            if section.capacity > 0 {
                self.standing = number;
            } else if seats > 0 {
                self.seated = (number, seats as u32);
            }
        }
    }

    pub fn net(&self) -> Arc<dyn Net> {
        Arc::new(Tcp)
    }

    pub async fn channel(&self) -> Channel {
        let address = &self.local.nodes()[0].partner_address;
        connect::connect(&self.net(), address)
            .await
            .expect("connects")
    }

    pub fn bearer(&self) -> Bearer {
        Bearer::new(&self.key).expect("a key is text")
    }

    pub fn with_key<T>(&self, message: T) -> Request<T> {
        let keyed = self.bearer().call(Request::new(())).expect("takes a key");
        let (metadata, extensions, ()) = keyed.into_parts();
        Request::from_parts(metadata, extensions, message)
    }

    pub fn keys(&self, seed: u64) -> Keys {
        let wall: Arc<dyn WallClock> = Arc::new(MachineClock);
        Keys::new(seed, &wall)
    }

    /// `cap` seats of the event are all that the partner's channel may have.
    pub fn cap_channel(&self, cap: u32) {
        let (event, channel) = (
            self.event.to_string(),
            format!("{}:0:{cap}", self.partner_id),
        );
        let capped = self.ctl(&["events", "rules", &event, "--channel", &channel]);
        capped.expect("the rules are set");
    }

    /// What `onsale ctl` answers as JSON, or the line it says.
    pub fn ctl(&self, words: &[&str]) -> Result<Value, String> {
        let output = self.run_ctl(&[&["--json"], words].concat());
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).expect("is JSON")),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    pub fn partner_addresses(&self) -> Vec<String> {
        self.local.partner_addresses()
    }

    /// `onsale ctl` as an operator of this node.
    pub fn run_ctl(&self, arguments: &[&str]) -> Output {
        let http = format!("http://{}", self.local.nodes()[0].http_address);
        Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["ctl", "--url", &http, "--key", self.local.operator_key()])
            .args(arguments)
            .output()
            .expect("the program starts")
    }

    /// What the node has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.local.nodes()[0].log).expect("has a log")
    }

    pub fn api(&self) -> Api {
        self.local.api()
    }

    /// A hold of the best seat by whom this key belongs to; `id` names the call, the hold and the buyer.
    pub async fn hold_best(&self, key: &str, id: Id) {
        let call = Call::PlaceHold {
            pass: String::new(),
            hold: id,
            buyer: id,
            ttl_s: 600,
            lines: vec![Line::best(1)],
        };
        let bearer = Bearer::new(key).expect("a key is text");
        let sales = Sales::new(InterceptedService::new(self.channel().await, bearer));
        let done = unary::send(sales, self.event, id, &call).await;
        done.expect("is done");
    }

    pub fn http_address(&self) -> String {
        self.local.nodes()[0].http_address.clone()
    }

    pub fn resident_bytes(&self) -> u64 {
        self.local.usage()[0].resident_bytes
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = api::metrics(&self.local.nodes()[0].http_address).expect("has metrics");
        metrics::sum(&text, name)
    }

    /// Seats free, held, sold.
    pub fn counts(&self) -> (u64, u64, u64) {
        let seats = self.local.api().event(self.event).expect("is there").seats;
        (seats.free, seats.held, seats.sold)
    }
}

/// An id that is no UUIDv7 of this time.
pub fn id_at(unix_ms: u64) -> Id {
    (u128::from(unix_ms) << 80 | 7 << 76 | 2 << 62 | 99).to_be_bytes()
}
