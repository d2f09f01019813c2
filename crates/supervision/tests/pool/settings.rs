//! Checks of settings, and the texts of their errors.

use std::time::Duration;

use impresario_supervision::Backoff;
use impresario_supervision::pool::{
    MAX_WORKERS, PoolError, PoolSize, Recycling, RollingRestart, Settings, WorkerPool,
};

use crate::world::{World, ms};

fn error(settings: impl Into<Settings>) -> PoolError {
    WorkerPool::new(settings, 0).expect_err("the settings are invalid")
}

#[test]
fn invalid_sizes_are_refused() {
    assert_eq!(error(PoolSize::Static(0)), PoolError::NoWorkers);
    assert_eq!(error(PoolSize::dynamic(0, 0)), PoolError::NoWorkers);
    assert_eq!(error(PoolSize::on_demand(0)), PoolError::NoWorkers);
    assert_eq!(error(PoolSize::dynamic(2, 1)), PoolError::SpareAboveMax { spare: 2, max: 1 });
    let max = MAX_WORKERS + 1;
    assert_eq!(error(PoolSize::Static(max)), PoolError::TooManyWorkers { max });
    for good in
        [PoolSize::Static(1), PoolSize::Static(MAX_WORKERS), PoolSize::dynamic(0, 1), PoolSize::dynamic(2, 2)]
    {
        assert!(WorkerPool::new(good, 0).is_ok());
    }
}

#[test]
fn zero_is_refused_by_name() {
    let good = Settings::new(PoolSize::Static(1));
    let recycling = |recycling| Settings { recycling, ..good };
    for (settings, setting) in [
        (Settings { capacity: 0, ..good }, "capacity"),
        (Settings { parallel_starts: 0, ..good }, "parallel_starts"),
        (Settings { start_timeout: Some(Duration::ZERO), ..good }, "start_timeout"),
        (Settings { roll: RollingRestart { surge: Some(0), ..good.roll }, ..good }, "roll.surge"),
        (Settings { roll: RollingRestart { failures: 0, ..good.roll }, ..good }, "roll.failures"),
        (recycling(Recycling { max_requests: Some(0), ..good.recycling }), "recycling.max_requests"),
        (recycling(Recycling { max_age: Some(Duration::ZERO), ..good.recycling }), "recycling.max_age"),
        (recycling(Recycling { max_memory: Some(0), ..good.recycling }), "recycling.max_memory"),
    ] {
        assert_eq!(error(settings), PoolError::Zero { setting });
    }
}

#[test]
fn jitter_outside_0_to_1_is_refused() {
    let with = |jitter| Settings {
        recycling: Recycling { jitter, ..Recycling::default() },
        ..Settings::new(PoolSize::Static(1))
    };
    for jitter in [-0.1, 1.1] {
        assert_eq!(error(with(jitter)), PoolError::Jitter { jitter });
    }
    assert!(matches!(error(with(f64::NAN)), PoolError::Jitter { .. }));
    assert!(WorkerPool::new(with(0.0), 0).is_ok() && WorkerPool::new(with(1.0), 0).is_ok());
}

#[test]
fn invalid_backoff_is_refused() {
    let backoff = Backoff { factor: 0.5, ..Backoff::default() };
    let error = error(Settings { backoff, ..Settings::new(PoolSize::Static(1)) });
    assert!(matches!(error, PoolError::Backoff(_)));
    assert!(error.to_string().contains("0.5"), "{error}");
}

#[test]
fn every_pool_error_has_its_text() {
    for (error, text) in [
        (
            PoolError::NoWorkers,
            "a pool of at most 0 workers serves no requests; set the maximum to at least 1",
        ),
        (
            PoolError::TooManyWorkers { max: 5_000 },
            "a pool of up to 5000 workers is too large; set the maximum to at most 1024",
        ),
        (
            PoolError::SpareAboveMax { spare: 3, max: 2 },
            "3 spare workers exceed the maximum of 2; lower spare or raise max",
        ),
        (PoolError::Zero { setting: "capacity" }, "capacity is 0; raise it, or keep its default"),
        (PoolError::Jitter { jitter: 1.5 }, "recycling.jitter is 1.5; set it from 0 to 1"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn refused_settings_change_nothing() {
    let mut world = World::new(PoolSize::dynamic(2, 4));
    world.skip(100);
    let before = format!("{:?}", world.pool);
    assert!(world.pool.reconfigure(world.now(), PoolSize::dynamic(5, 4)).is_err());
    assert_eq!(format!("{:?}", world.pool), before);
}

#[test]
fn defaults_are_the_documented_constants() {
    assert_eq!(PoolSize::on_demand(3).idle_timeout(), Some(ms(15_000)));
    assert_eq!(PoolSize::dynamic(1, 3).idle_timeout(), Some(ms(15_000)));
    assert_eq!(
        (PoolSize::Static(3).idle_timeout(), PoolSize::Static(3).spare(), PoolSize::Static(3).max()),
        (None, 3, 3)
    );
    let settings = Settings::from(PoolSize::Static(1));
    assert_eq!((settings.capacity, settings.parallel_starts), (1, 16));
    assert_eq!((settings.start_timeout, settings.retire_timeout), (Some(ms(60_000)), Some(ms(30_000))));
    assert_eq!(settings.recycling, Recycling { jitter: 0.1, ..Recycling::default() });
    assert_eq!((settings.roll.surge, settings.roll.failures), (None, 3));
}
