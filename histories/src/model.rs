//! A session as a sequential machine: as much of it as answers are judged by. It computes no times: a clock may run out when
//! the history says that its deadline has come. Written from the rules, and not from the server.

use super::operation::{OnTimeout, Status, Tag, View};

/// What is true of a session id at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub life: Life,
    /// Unknown when nobody was told about the change that made it.
    pub epoch: Option<u64>,
    /// Its epoch, or that of the next change, is above this.
    pub above: u64,
    /// The epoch of the next change is above this too, after a loss.
    pub lost: u64,
}

/// Whether there is a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    Absent,
    Present(Session),
}

/// A session that is there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    pub version: u64,
    pub status: Status,
    pub active: Option<u8>,
    pub out: u32,
    pub mark: Option<u64>,
    pub participants: u8,
    pub on_timeout: OnTimeout,
}

impl State {
    /// An id that nobody has used.
    #[must_use]
    pub fn absent() -> Self {
        Self { life: Life::Absent, epoch: None, above: 0, lost: 0 }
    }

    /// The session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        match &self.life {
            Life::Absent => None,
            Life::Present(session) => Some(session),
        }
    }

    /// Its name, if the epoch is known.
    #[must_use]
    pub fn tag(&self) -> Option<Tag> {
        Some(Tag { epoch: self.epoch?, version: self.session()?.version })
    }

    /// The next state, whose epoch nobody has told yet.
    #[must_use]
    pub fn changed(&self, session: Session) -> Self {
        Self { life: Life::Present(session), epoch: None, above: self.above.max(self.lost), lost: 0 }
    }

    /// What is left when it is deleted.
    #[must_use]
    pub fn deleted(&self) -> Self {
        let above = self.epoch.unwrap_or(self.above + 1).max(self.lost);
        Self { life: Life::Absent, epoch: None, above, lost: 0 }
    }

    /// The same state with the epoch that somebody was told, if it can have that.
    #[must_use]
    pub fn told(&self, epoch: u64) -> Option<Self> {
        match self.epoch {
            Some(known) => (known == epoch).then(|| self.clone()),
            None if epoch > self.above => Some(Self { epoch: Some(epoch), above: epoch - 1, ..self.clone() }),
            None => None,
        }
    }

    /// The state with what a view tells about it; `None` when the view shows another one.
    #[must_use]
    pub fn shown(&self, view: &View) -> Option<Self> {
        let session = self.session()?;
        let is_it = session.version == view.tag.version
            && session.status == view.status
            && session.active == view.active
            && session.out == view.out
            && view.mark.is_none_or(|mark| mark == session.mark);
        if is_it { self.told(view.tag.epoch) } else { None }
    }

    /// What the end of running clocks makes of it: of one, of two, and so on; each as one change.
    #[must_use]
    pub fn flagged(&self) -> Vec<Self> {
        let Some(session) = self.session() else { return Vec::new() };
        let mut all = Vec::new();
        let mut now = session.clone();
        now.version += 1;
        while now.flag() {
            all.push(self.changed(now.clone()));
        }
        all
    }
}

impl Session {
    /// Ends the running clock; returns whether one runs.
    fn flag(&mut self) -> bool {
        let (Status::Running, Some(active)) = (self.status, self.active) else { return false };
        self.out |= 1 << active;
        let next = match self.on_timeout {
            OnTimeout::Expire => None,
            OnTimeout::Advance => self.next(active),
        };
        match next {
            Some(next) => self.active = Some(next),
            None => self.end(Status::Expired),
        }
        true
    }

    /// Who comes after a participant: the next who has time left, itself last.
    #[must_use]
    pub fn next(&self, participant: u8) -> Option<u8> {
        let others = (1..=self.participants).map(|step| (participant + step) % self.participants);
        others.into_iter().find(|&other| !self.is_out(other))
    }

    /// Whether a participant's clock has run out.
    #[must_use]
    pub fn is_out(&self, participant: u8) -> bool {
        self.out & (1 << participant) != 0
    }

    /// Nobody is active any more.
    pub fn end(&mut self, status: Status) {
        (self.status, self.active) = (status, None);
    }
}
