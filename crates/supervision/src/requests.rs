//! What a running supervisor can be asked, and what it answers.

use crate::children::Life;
use crate::supervisor::Phase;
use crate::turn::{Purpose, Turn};
use crate::{Action, ChildId, ChildSpec, Reply, Request, RequestError, RequestId, Supervisor, Time};

impl Supervisor {
    /// Serves one request, at a moment when nothing starts or stops.
    pub(crate) fn serve(&mut self, _now: Time, id: RequestId, request: Request) {
        if let Phase::Leaving(_) | Phase::Gone = self.phase {
            return self.refuse(id, RequestError::ShuttingDown);
        }
        match request {
            Request::StartChild(spec) => self.start_child(id, spec),
            Request::TerminateChild(child) => self.terminate_child(id, &child),
            Request::RestartChild(child) => self.restart_child(id, &child),
            Request::DeleteChild(child) => self.delete_child(id, &child),
            Request::WhichChildren => self.reply(id, Reply::Children(self.children.infos())),
            Request::CountChildren => self.reply(id, Reply::Counts(self.children.counts())),
        }
    }

    fn reply(&mut self, id: RequestId, reply: Reply) {
        self.actions.push_back(Action::Reply(id, reply));
    }

    fn refuse(&mut self, id: RequestId, error: RequestError) {
        self.reply(id, Reply::Error(error));
    }

    fn start_child(&mut self, by: RequestId, spec: ChildSpec) {
        if let Err(error) = spec.check(self.flags.auto_shutdown) {
            return self.refuse(by, RequestError::Spec(error));
        }
        if let Some(at) = self.children.position_of(&spec.id) {
            let child = &self.children[at];
            let error = match child.life {
                Life::Down => RequestError::AlreadyPresent,
                _ => RequestError::AlreadyStarted(child.incarnation),
            };
            return self.refuse(by, error);
        }
        let at = self.children.push(spec);
        self.turn = Some(Turn::bring_up(at..at + 1, Purpose::Asked { by, added: true }));
    }

    fn terminate_child(&mut self, by: RequestId, child: &ChildId) {
        match self.children.position_of(child) {
            Some(at) => self.turn = Some(Turn::take_down(at..at + 1, Purpose::Terminate { by })),
            None => self.refuse(by, RequestError::NotFound),
        }
    }

    /// The child, if it is down and nobody is about to change that.
    fn down(&self, child: &ChildId) -> Result<usize, RequestError> {
        let at = self.children.position_of(child).ok_or(RequestError::NotFound)?;
        match self.children[at].life {
            _ if self.children[at].restarting => Err(RequestError::Restarting),
            Life::Down => Ok(at),
            _ => Err(RequestError::Running),
        }
    }

    fn restart_child(&mut self, by: RequestId, child: &ChildId) {
        match self.down(child) {
            Ok(at) => self.turn = Some(Turn::bring_up(at..at + 1, Purpose::Asked { by, added: false })),
            Err(error) => self.refuse(by, error),
        }
    }

    fn delete_child(&mut self, by: RequestId, child: &ChildId) {
        match self.down(child) {
            Ok(at) => {
                self.remove(at);
                self.reply(by, Reply::Done);
            }
            Err(error) => self.refuse(by, error),
        }
    }
}
