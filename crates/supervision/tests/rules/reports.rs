//! Texts of reasons, errors and specs; fields of reports.

use impresario_supervision::{
    Action, ChildKind, ChildRules, Event, ExitReason, Flags, RequestError, Restart, Shutdown, SpecError,
    Supervisor, Time,
};

use crate::world::{boom, ms};

#[test]
fn every_exit_reason_has_its_text() {
    let child = || "db".into();
    let reason = || Box::new(boom());
    for (reason, expected) in [
        (ExitReason::Normal, "normal"),
        (ExitReason::Shutdown, "shutdown"),
        (ExitReason::ShutdownWith("deploy".into()), "shutdown: deploy"),
        (ExitReason::Killed, "killed"),
        (ExitReason::NoProc, "no such process"),
        (
            ExitReason::Panic { message: "oh".into(), location: Some("a.rs:1:2".into()) },
            "panicked at a.rs:1:2: oh",
        ),
        (ExitReason::Panic { message: "oh".into(), location: None }, "panicked: oh"),
        (ExitReason::Code(3), "exit code 3"),
        (ExitReason::Signal { number: 9, core_dumped: false }, "signal 9"),
        (ExitReason::Signal { number: 11, core_dumped: true }, "signal 11, core dumped"),
        (ExitReason::StartTimeout, "did not start in time"),
        (ExitReason::FailedToStart { child: child(), reason: reason() }, "child db failed to start: boom"),
        (
            ExitReason::GaveUp { child: child(), reason: reason() },
            "restart limit reached, last failure of child db: boom",
        ),
    ] {
        assert_eq!(reason.to_string(), expected);
    }
}

#[test]
fn only_normal_and_shutdown_reasons_are_clean() {
    let clean = [ExitReason::Normal, ExitReason::Shutdown, ExitReason::ShutdownWith("x".into())];
    let unclean = [
        ExitReason::Killed,
        ExitReason::NoProc,
        ExitReason::Panic { message: String::new(), location: None },
        boom(),
        ExitReason::Code(1),
        ExitReason::Signal { number: 15, core_dumped: false },
        ExitReason::StartTimeout,
    ];
    assert!(clean.iter().all(ExitReason::is_clean));
    assert!(!unclean.iter().any(ExitReason::is_clean));
}

#[test]
fn every_request_error_has_its_text() {
    let mut rules =
        Supervisor::new(Flags::default(), vec![ChildRules::worker("a")]).expect("the specs are valid");
    rules.handle(Time::START, Event::Start);
    let Some(Action::Start(_, incarnation)) = rules.poll_action() else { panic!("no start") };
    for (error, expected) in [
        (RequestError::NotFound, "no such child"),
        (RequestError::AlreadyStarted(incarnation), "a child with this id is already running"),
        (RequestError::AlreadyPresent, "a child with this id exists and is down; restart or delete it"),
        (RequestError::Running, "child is running; terminate it first"),
        (RequestError::Restarting, "child is being restarted; terminate it first"),
        (RequestError::StartFailed(boom()), "child failed to start: boom"),
        (RequestError::Spec(SpecError::ZeroPeriod), &SpecError::ZeroPeriod.to_string()),
        (
            RequestError::MaxChildren(7),
            "the supervisor has 7 children, the maximum; raise max_children or stop one",
        ),
        (RequestError::ShuttingDown, "supervisor is shutting down"),
    ] {
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn every_spec_value_has_its_text() {
    assert_eq!(Restart::Permanent.to_string(), "permanent");
    assert_eq!(format!("{:>10}", Restart::Transient), " transient");
    assert_eq!(Restart::Temporary.to_string(), "temporary");
    assert_eq!(Shutdown::Kill.to_string(), "kill");
    assert_eq!(Shutdown::Timeout(ms(1_500)).to_string(), "1.5s");
    assert_eq!(Shutdown::Infinity.to_string(), "infinity");
    assert_eq!(
        (ChildKind::Worker.to_string(), ChildKind::Supervisor.to_string()),
        ("worker".into(), "supervisor".into())
    );
}

#[test]
fn report_carries_incarnation_reason_and_spec() {
    let spec = ChildRules { restart: Restart::Transient, ..ChildRules::supervisor("s") };
    let mut rules = Supervisor::new(Flags::default(), vec![spec]).expect("the specs are valid");
    rules.handle(Time::START, Event::Start);
    let Some(Action::Start(_, incarnation)) = rules.poll_action() else { panic!("no start") };
    rules.handle(Time::START, Event::Started(incarnation));
    rules.handle(Time::START, Event::Exited(incarnation, boom()));
    let report = std::iter::from_fn(|| rules.poll_action()).find_map(|action| match action {
        Action::Report(report) => Some(report),
        _ => None,
    });
    let report = report.expect("a crash is reported");
    assert_eq!(
        (report.incarnation, report.restart, report.child_kind),
        (Some(incarnation), Restart::Transient, ChildKind::Supervisor)
    );
    assert_eq!((report.shutdown, &report.reason, report.instances), (Shutdown::Infinity, &boom(), 1));
}
