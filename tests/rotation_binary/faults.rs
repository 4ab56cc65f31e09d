//! Rotations in which calls fail, lose their answers, or take effect late.

use std::{sync::Mutex, thread, time::Duration};

use cognito_m2m::ports::{AWSCURRENT, AWSPREVIOUS};

use crate::{
    case::{Case, STEPS},
    world::Fault,
};

/// Most of a rotation is waiting, so that many of them fit on two cores.
const SIDE_BY_SIDE: usize = 8;

/// Runs a second rotation with this fault. Secrets Manager repeats a step that failed.
fn rotates_in_spite_of(fault: (usize, Fault)) {
    let mut case = Case::start();
    let cloud = case.cloud.clone();
    let first = case.rotates();
    cloud.a_month_passes();
    let token = cloud.begin_rotation();
    cloud.take_calls();
    cloud.world.aws().fault = Some(fault);
    for step in STEPS {
        let mut outcome = case.step(step, &token);
        if outcome.is_err() {
            outcome = case.step(step, &token);
        }
        let calls = cloud.take_calls();
        outcome.unwrap_or_else(|error| panic!("call {} lost; {step}: {error}; it made {calls:?}", fault.0));
    }
    assert!(cloud.values() == [cloud.value(&first), cloud.value(&token)], "call {} lost: other secrets", fault.0);
    assert_eq!(cloud.labels(&token), [AWSCURRENT], "call {} lost", fault.0);
    assert_eq!(cloud.labels(&first), [AWSPREVIOUS], "call {} lost", fault.0);
    assert!(cloud.world.aws().fault.is_none(), "there is no call {}", fault.0);
    case.ends();
}

#[test]
fn every_single_call_of_a_rotation_may_fail_or_lose_its_answer() {
    let mut case = Case::start();
    case.rotates();
    case.cloud.a_month_passes();
    let token = case.cloud.begin_rotation();
    case.cloud.take_calls();
    let mut calls = 0;
    for step in STEPS {
        case.step(step, &token).unwrap();
        calls += case.cloud.take_calls().len();
    }
    case.ends();
    assert!(calls > 20, "only {calls} calls");

    let faults = Mutex::new((0..calls).flat_map(|call| [(call, Fault::Before), (call, Fault::After)]));
    let next = || faults.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(fault) = next() {
                    rotates_in_spite_of(fault);
                }
            });
        }
    });
}

#[test]
fn awscurrents_secret_stays_while_the_token_endpoint_lags_behind() {
    let mut case = Case::start();
    let cloud = case.cloud.clone();
    let first = case.rotates();
    cloud.a_month_passes();
    let token = cloud.begin_rotation();
    // For a while the endpoint still accepts the deleted secret and does not accept the new one.
    let lag = Duration::from_secs(5);
    (cloud.world.aws().learns_within, cloud.world.aws().forgets_within) = (lag, lag);
    for step in ["createSecret", "setSecret"] {
        case.does(step, &token);
    }
    // Lambda may deliver a step twice. The repeated step may fail because it cannot tell the secrets apart.
    let again = case.step("setSecret", &token);
    assert!(
        cloud.values() == [cloud.value(&first), cloud.value(&token)],
        "a setSecret that came again ({again:?}) has changed the secrets"
    );
    case.does_nothing("testSecret", &token);
    case.does_nothing("setSecret", &token);
    case.does("finishSecret", &token);
    case.ends();
}
