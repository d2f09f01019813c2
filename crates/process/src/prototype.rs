//! A prototype: main's loop again, one process per app, over a pool of workers.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use impresario_wire::Message;

use crate::birth::{Cradle, say};
use crate::child::Child;
use crate::house::House;
use crate::keeper::{Duty, Keeper};
use crate::leaf::{BoxError, chain};
use crate::phase::Phases;
use crate::plan::{Nursery, Plan};
use crate::poller::Source;
use crate::pool::PoolRules;
use crate::port::Port;
use crate::rules::Rules;
use crate::{ProcessExit, ProcessLogger};

/// The whole life of a prototype. It stays on the first thread and starts no other, since it forks.
pub(crate) fn run(cradle: Cradle) -> ProcessExit {
    let voice = cradle.port.try_clone();
    let ProcessLogger { log, guard } = (cradle.logging)(&cradle.identity);
    let exit = match furnish(cradle, log) {
        Ok((house, duty)) => {
            // The house has the port now; a second descriptor would only be one more.
            drop(voice);
            Keeper::new(house, duty).run()
        }
        Err(error) => {
            if let Ok(voice) = voice {
                say(&voice, &Message::failed(chain(&*error)));
            }
            ProcessExit::NotStarted
        }
    };
    drop(guard);
    exit
}

fn furnish(cradle: Cradle, log: slog::Logger) -> Result<(House, Prototype), BoxError> {
    let Plan::Prototype { pool, leaf } = cradle.plan else {
        return Err("not the plan of a prototype".into());
    };
    let app = cradle.identity.name.clone();
    let rules = Rules::Pool(PoolRules::new(&pool)?);
    // No deadline of its own: main has one for everything.
    let phases = Phases::new(None);
    let nursery = Nursery::new(vec![(app.clone(), Plan::Leaf(leaf))], cradle.logging);
    let mut house = House::new(cradle.identity, rules, phases, nursery, cradle.listeners, log)?;
    let parent = Port::new(cradle.port, cradle.link);
    house.poller.add(&parent, Source::Parent)?;
    house.parent = Some(parent);
    Ok((house, Prototype { app }))
}

/// What only a prototype does: it tells its parent who of its children is ready and who is gone.
struct Prototype {
    app: String,
}

impl Duty for Prototype {
    fn ready(&mut self, house: &mut House) -> bool {
        house.say_up(&Message::Ready, Vec::new())
    }

    fn child_ready(&mut self, house: &mut House, life: u64) -> bool {
        let Some(child) = house.children.get_mut(life) else { return true };
        let announce = child.router_port.take().map(|fd| Rc::new(fd) as Rc<dyn AsFd>);
        let pidfd: Rc<dyn AsFd> = Rc::clone(&child.pidfd) as Rc<dyn AsFd>;
        let process = child.process();
        let message = Message::NewPort { process, app: self.app.clone(), slot: child.identity.slot };
        house.say_up(&message, announce.into_iter().chain([pidfd]).collect())
    }

    fn child_ended(&mut self, house: &mut House, child: &Child) -> bool {
        // Of one that was never ready nobody has heard.
        !child.ready || house.say_up(&Message::RemovePort { process: child.process() }, Vec::new())
    }

    /// Workers say nothing that is not about their own life; the table of who may say what sees to it.
    fn news(&mut self, _house: &mut House, _life: u64, _message: Message, _fds: Vec<OwnedFd>) {}

    fn descendants(&self) -> Vec<String> {
        Vec::new()
    }

    fn kill(&mut self) {}

    fn finish(&mut self, house: &mut House, exit: ProcessExit, reason: &str) {
        if exit != ProcessExit::Done {
            // If it cannot be said, the exit code says that much.
            house.say_up(&Message::failed(reason), Vec::new());
        }
    }
}
