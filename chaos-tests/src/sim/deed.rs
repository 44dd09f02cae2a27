//! What operators of waiting rooms do, and what their visitors meet, by name: counted as faults are, so
//! that a set in which something of it never came to pass proves no more than it says.

use super::counts::{self, kinds};

kinds! {
    /// A kind of deed. Its name is what reports and counters say.
    Deed:
    Pause = "pause_room",
    Resume = "resume_room",
    Close = "close_room",
    Reopen = "reopen_room",
    Move = "move_room",
    Remove = "remove_visitor",
    Beacon = "make_beacon_known",
    RotateKey = "rotate_pass_key",
    // A pass of the key that came second was handed out.
    SecondKey = "pass_of_second_key",
    // A party for which too little was left was passed over.
    PassOver = "party_passed_over",
    // It was let in as soon as there was enough, while others behind it waited.
    ComeFirst = "passed_over_let_in_first",
    // Many came with one device.
    Suspect = "device_suspected",
    // What was asked for was brought, at this node or another.
    Prove = "challenge_met",
    // So many came with it that they wait among the slow.
    Slow = "device_slowed",
    // A buyer who mostly gives back what was held was asked as well.
    Hoard = "abandoned_holds_suspected",
}

/// How often each kind happened.
pub type Counts = counts::Counts<Deed>;
