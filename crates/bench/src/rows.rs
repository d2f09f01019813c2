//! The rows: subject, peer and load of each.

use std::time::Duration;

use crate::actors;
use crate::actors::kind::{Framework, Work};
use crate::error::Error;
use crate::idle::Idle;
use crate::load::{Histogram, Load, Outcome};
use crate::rules::Rules;
use crate::server::Server;

/// Number of connections of each load.
const CONNECTIONS: usize = 64;
/// Maximum number of rounds of memory rows: other programs do not disturb them.
const IDLE_ROUNDS: u16 = 3;
/// Bytes of one echo.
const ECHO_BYTES: usize = 64;

/// One comparison.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    subject: Subject,
}

/// What a row compares.
enum Subject {
    /// Two servers under the same load.
    Servers { ours: &'static str, peer: &'static str, load: Load },
    /// Memory of two servers with the same idle connections.
    Idle { ours: &'static str, peer: &'static str, idle: Idle },
    /// The supervision rules at two sizes.
    Rules { ours: Rules, peer: Rules },
    /// Actors of Impresario and of a peer that do the same work.
    Actors { peer: Framework, work: Work },
}

impl Row {
    const fn actors(name: &'static str, work: Work, peer: Framework) -> Self {
        Self { name, unit: work.unit(), subject: Subject::Actors { peer, work } }
    }
}

/// All rows, in the order of measurement.
pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "echo-64",
        unit: "round trips/s",
        subject: Subject::Servers {
            ours: "echo",
            peer: "bare-echo",
            load: Load::Echo { connections: CONNECTIONS, bytes: ECHO_BYTES },
        },
    },
    Row {
        name: "echo-connect",
        unit: "connections/s",
        subject: Subject::Servers {
            ours: "echo",
            peer: "bare-echo",
            load: Load::Connect { at_once: CONNECTIONS, bytes: ECHO_BYTES },
        },
    },
    Row {
        name: "tls-connect",
        unit: "connections/s",
        subject: Subject::Servers {
            ours: "tls-echo",
            peer: "bare-tls-echo",
            load: Load::TlsConnect { at_once: CONNECTIONS, bytes: ECHO_BYTES },
        },
    },
    Row {
        name: "idle-connections",
        unit: "bytes/connection",
        subject: Subject::Idle {
            ours: "echo",
            peer: "bare-echo",
            idle: Idle { connections: 10_000, bytes: ECHO_BYTES },
        },
    },
    Row {
        name: "http-hello",
        unit: "requests/s",
        subject: Subject::Servers {
            ours: "http",
            peer: "bare-hyper",
            load: Load::Http { connections: CONNECTIONS },
        },
    },
    Row {
        name: "http-router",
        unit: "requests/s",
        subject: Subject::Servers {
            ours: "http-router",
            peer: "http-direct",
            load: Load::Http { connections: CONNECTIONS },
        },
    },
    Row {
        name: "rules-restart",
        unit: "events/s",
        subject: Subject::Rules {
            ours: Rules::Restart { children: 10_000 },
            peer: Rules::Restart { children: 10 },
        },
    },
    Row {
        name: "rules-dynamic",
        unit: "events/s",
        subject: Subject::Rules {
            ours: Rules::Dynamic { children: 100_000 },
            peer: Rules::Dynamic { children: 1_000 },
        },
    },
    Row::actors("tell", Work::Tell, Framework::Actix),
    Row::actors("tell-ractor", Work::Tell, Framework::Ractor),
    Row::actors("tell-kameo", Work::Tell, Framework::Kameo),
    Row::actors("tell-xtra", Work::Tell, Framework::Xtra),
    Row::actors("tell-tokio", Work::Tell, Framework::Tokio),
    Row::actors("ask", Work::Ask, Framework::Actix),
    Row::actors("ask-ractor", Work::Ask, Framework::Ractor),
    Row::actors("ask-kameo", Work::Ask, Framework::Kameo),
    Row::actors("ask-xtra", Work::Ask, Framework::Xtra),
    Row::actors("ask-tokio", Work::Ask, Framework::Tokio),
    Row::actors("spawn-stop", Work::SpawnStop, Framework::Ractor),
    Row::actors("spawn-stop-ractor-linked", Work::SpawnStop, Framework::RactorLinked),
    Row::actors("spawn-stop-actix", Work::SpawnStop, Framework::Actix),
    Row::actors("spawn-stop-kameo", Work::SpawnStop, Framework::Kameo),
    Row::actors("spawn-stop-xtra", Work::SpawnStop, Framework::Xtra),
    Row::actors("spawn-stop-tokio", Work::SpawnStop, Framework::Tokio),
    Row::actors("restart", Work::Restart, Framework::Ractor),
    Row::actors("restart-actix", Work::Restart, Framework::Actix),
    Row::actors("restart-kameo", Work::Restart, Framework::Kameo),
    Row::actors("restart-xtra", Work::Restart, Framework::Xtra),
    Row::actors("restart-tokio", Work::Restart, Framework::Tokio),
    Row::actors("idle-memory", Work::IdleMemory, Framework::Actix),
    Row::actors("idle-memory-ractor", Work::IdleMemory, Framework::Ractor),
    Row::actors("idle-memory-kameo", Work::IdleMemory, Framework::Kameo),
    Row::actors("idle-memory-xtra", Work::IdleMemory, Framework::Xtra),
    Row::actors("idle-memory-tokio", Work::IdleMemory, Framework::Tokio),
    Row::actors("shutdown", Work::Shutdown, Framework::Actix),
    Row::actors("shutdown-ractor", Work::Shutdown, Framework::Ractor),
    Row::actors("shutdown-kameo", Work::Shutdown, Framework::Kameo),
    Row::actors("shutdown-xtra", Work::Shutdown, Framework::Xtra),
    Row::actors("shutdown-tokio", Work::Shutdown, Framework::Tokio),
];

/// The rows with these names; all without names.
pub(crate) fn select(names: &[String]) -> Result<Vec<&'static Row>, Error> {
    if names.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    let find = |name: &String| {
        ROWS.iter().find(|row| row.name == name).ok_or_else(|| Error::Row {
            name: name.clone(),
            known: ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", "),
        })
    };
    names.iter().map(find).collect()
}

/// Result of a row.
pub(crate) struct Figures {
    pub(crate) ours: Side,
    pub(crate) peer: Side,
}

impl Figures {
    /// Figure of Impresario divided by that of the peer. In rows of bytes, less is better.
    pub(crate) fn ratio(&self) -> f64 {
        self.ours.rate() / self.peer.rate()
    }
}

/// The rounds of one side.
#[derive(Default)]
pub(crate) struct Side {
    rates: Vec<f64>,
    operations: u64,
    cpu: Duration,
    pub(crate) latency: Histogram,
}

impl Side {
    fn add(&mut self, (outcome, cpu): &(Outcome, Duration)) {
        self.operations += outcome.all;
        self.cpu += *cpu;
        self.latency.add(&outcome.latency);
        self.add_rate(outcome.rate());
    }

    fn add_rate(&mut self, rate: f64) {
        self.rates.push(rate);
        self.rates.sort_by(f64::total_cmp);
    }

    /// Median of the rounds; with an even number, the lower of the two in the middle.
    pub(crate) fn rate(&self) -> f64 {
        self.rates.get(self.rates.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }

    /// Microseconds of processor time of the server per operation. Other programs disturb it less than the
    /// rate.
    pub(crate) fn cpu_micros(&self) -> f64 {
        if self.operations == 0 {
            return 0.0;
        }
        self.cpu.as_secs_f64() * 1e6 / self.operations as f64
    }

    /// Difference of the highest and the lowest round, as a share of the median. It limits what the ratio is
    /// worth.
    pub(crate) fn spread(&self) -> f64 {
        let ends = self.rates.last().zip(self.rates.first());
        ends.map_or(0.0, |(highest, lowest)| (highest - lowest) / self.rate())
    }
}

impl Row {
    /// Measures both sides alternately. The first side changes from round to round.
    pub(crate) async fn measure(&self, rounds: u16, time: Duration) -> Result<Figures, Error> {
        let mut figures = Figures { ours: Side::default(), peer: Side::default() };
        match self.subject {
            Subject::Servers { ours, peer, load } => {
                let ours = Server::start(ours, load).await?;
                let peer = Server::start(peer, load).await?;
                for is_ours in sides(rounds) {
                    let (side, server) =
                        if is_ours { (&mut figures.ours, &ours) } else { (&mut figures.peer, &peer) };
                    side.add(&server.measure(time).await?);
                }
            }
            Subject::Idle { ours, peer, idle } => {
                for is_ours in sides(rounds.min(IDLE_ROUNDS)) {
                    let (side, name) =
                        if is_ours { (&mut figures.ours, ours) } else { (&mut figures.peer, peer) };
                    side.add_rate(idle.measure(name).await?);
                }
            }
            Subject::Rules { ours, peer } => {
                for is_ours in sides(rounds) {
                    let (side, rules) =
                        if is_ours { (&mut figures.ours, ours) } else { (&mut figures.peer, peer) };
                    side.add_rate(rules.measure(time));
                }
            }
            Subject::Actors { peer, work } => {
                for is_ours in sides(work.rounds(rounds)) {
                    let (side, framework) = if is_ours {
                        (&mut figures.ours, Framework::Ours)
                    } else {
                        (&mut figures.peer, peer)
                    };
                    side.add_rate(actors::measure(work, framework, time)?);
                }
            }
        }
        Ok(figures)
    }
}

/// The order of sides: true is Impresario. Two measurements per round.
fn sides(rounds: u16) -> impl Iterator<Item = bool> {
    (0..rounds).flat_map(|round| [round % 2 == 0, round % 2 != 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn select_finds_rows_by_unique_name() {
        assert_eq!(select(&[]).expect("all").len(), ROWS.len());
        let one = select(&["http-router".to_owned()]).expect("it exists");
        assert_eq!(one.iter().map(|row| row.name).collect::<Vec<_>>(), ["http-router"]);
        let names: std::collections::BTreeSet<_> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len(), "two rows have the same name");
        assert!(matches!(select(&["nothing".to_owned()]), Err(Error::Row { .. })));
    }

    #[test]
    fn a_side_has_median_spread_and_cpu_time() {
        let mut side = Side::default();
        assert_eq!((side.rate(), side.spread()), (0.0, 0.0));
        for operations in [300, 100, 200] {
            let latency = Histogram::default();
            let outcome = Outcome { operations, all: 2 * operations, time: Duration::from_secs(1), latency };
            side.add(&(outcome, Duration::from_millis(2)));
        }
        assert_eq!((side.rate(), side.spread(), side.cpu_micros()), (200.0, 1.0, 5.0));
    }
}
