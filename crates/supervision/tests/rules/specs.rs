//! Checks of flags, specs and templates before the start.

use impresario_supervision::{
    AutoShutdown, Backoff, ChildKind, ChildRules, DynamicSupervisor, Flags, Intensity, Restart, Shutdown,
    SpecError, Strategy, Supervisor,
};

use crate::world::ms;

fn refusal(flags: Flags, specs: Vec<ChildRules>) -> String {
    let error = Supervisor::new(flags, specs).expect_err("the specs are invalid");
    error.to_string()
}

#[test]
fn invalid_specs_are_refused_with_child_and_value() {
    let db = || ChildRules::worker("db");
    let backoff = |backoff: Backoff| vec![ChildRules { backoff: Some(backoff), ..db() }];
    let good = Backoff::default();
    let any = Flags { auto_shutdown: AutoShutdown::AnySignificant, ..Flags::default() };
    for (flags, specs, expected) in [
        (Flags::default(), vec![db(), db()], "two children have the id \"db\"; make ids unique"),
        (
            Flags::default(),
            vec![ChildRules { significant: true, ..db() }],
            "child \"db\" is significant but auto-shutdown is never; set auto-shutdown",
        ),
        (
            any,
            vec![ChildRules { significant: true, ..db() }],
            "child \"db\" is significant and permanent; make it transient or temporary",
        ),
        (
            Flags::default(),
            vec![ChildRules { start_timeout: Some(ms(0)), ..db() }],
            "child \"db\" has a start time-out of 0; raise it, or set none for no limit",
        ),
        (
            Flags::default(),
            backoff(Backoff { first: ms(900), ..good }),
            "child \"db\" has a backoff from 900ms to at most 500ms; raise the maximum",
        ),
        (
            Flags::default(),
            backoff(Backoff { factor: 0.5, ..good }),
            "child \"db\" has a backoff factor of 0.5; set it to 1 or more",
        ),
        (
            Flags::default(),
            backoff(Backoff { jitter: 2.0, ..good }),
            "child \"db\" has a backoff jitter of 2; set it from 0 to 1",
        ),
        (
            Flags { intensity: Intensity::new(1, ms(0)), ..Flags::default() },
            vec![],
            "the period of the intensity is 0; set it to at least 1 ms",
        ),
    ] {
        assert_eq!(refusal(flags, specs), expected);
    }
}

#[test]
fn invalid_template_is_refused() {
    let template = ChildRules { significant: true, ..ChildRules::worker("t") };
    let refused = |flags, template, max| DynamicSupervisor::new(flags, template, max).map(drop);
    let expected = SpecError::SignificantWithoutAutoShutdown { child: "t".into() };
    assert_eq!(refused(Flags::default(), template, None), Err(expected));
    let zero = Flags { intensity: Intensity::new(1, ms(0)), ..Flags::default() };
    assert_eq!(refused(zero, ChildRules::worker("t"), None), Err(SpecError::ZeroPeriod));
    let error = refused(Flags::default(), ChildRules::worker("t"), Some(0))
        .expect_err("max_children of 0 is invalid");
    assert_eq!(error.to_string(), "max_children of the supervisor of \"t\" is 0; set it to at least 1");
}

#[test]
fn every_valid_combination_passes() {
    for restart in [Restart::Permanent, Restart::Transient, Restart::Temporary] {
        for shutdown in [Shutdown::Kill, Shutdown::Timeout(ms(0)), Shutdown::Infinity] {
            for kind in [ChildKind::Worker, ChildKind::Supervisor] {
                for auto in [AutoShutdown::Never, AutoShutdown::AnySignificant, AutoShutdown::AllSignificant]
                {
                    let significant = restart != Restart::Permanent && auto != AutoShutdown::Never;
                    let spec = ChildRules { restart, shutdown, kind, significant, ..ChildRules::worker("a") };
                    let flags = Flags { auto_shutdown: auto, ..Flags::default() };
                    assert!(Supervisor::new(flags, vec![spec]).is_ok());
                }
            }
        }
    }
}

#[test]
fn defaults_are_those_of_otp_except_the_intensity() {
    let flags = Flags::default();
    assert_eq!((flags.strategy, flags.auto_shutdown), (Strategy::OneForOne, AutoShutdown::Never));
    assert_eq!(flags.intensity, Intensity::new(3, ms(5_000)));
    let worker = ChildRules::worker("a");
    assert_eq!((worker.restart, worker.shutdown), (Restart::Permanent, Shutdown::from(ms(5_000))));
    let supervisor = ChildRules::supervisor("s");
    assert_eq!((supervisor.kind, supervisor.shutdown), (ChildKind::Supervisor, Shutdown::Infinity));
    assert!(!worker.significant && worker.backoff.is_none() && worker.start_timeout.is_none());
}
