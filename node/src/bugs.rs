//! Deliberate bugs of the gateway and the partners' services, for proving that the simulation would
//! find them. As in `cluster::bugs`: nothing of it is compiled without the feature `bugs`.

cluster::deliberate_bugs! {
    /// What is sent again gets a key of its own.
    SentAgainUnderNewKey => "the gateway sends again under a new key",
    /// What was sent over a stream that broke is told never to have been sent.
    SentIsNeverSent => "what a broken link had sent is reported as never sent",
    /// A failure of the second attempt is told although the first may still happen.
    DoubtForgotten => "a failed second attempt hides the first",
    /// An order is looked up without proof of leadership.
    OrderUnproved => "an order is read from a leader that is none any more",
    /// A place that was asked for as proved is told as the leader's copy has it.
    PlaceUnproved => "a proved place is told without proof",
    /// A pass is denied without proof of leadership.
    ClaimUnproved => "a pass is denied by a leader that is none any more",
    /// Whatever is brought is taken for the answer to a challenge.
    AnswerUnchecked => "any answer meets a challenge",
    /// What one node asks for is nothing to the others.
    ChallengeOfNode => "each node asks for a challenge of its own",
    /// Who comes again and again with one device is somebody new each time.
    DevicesUncounted => "joins with one device are not counted",
    /// What became of holds is not minded when their buyers come.
    HoldsUnminded => "abandoned holds are not minded",
    /// Who is slow comes in with the others.
    SlowIsWelcome => "who comes like a bot waits with everybody",
}
