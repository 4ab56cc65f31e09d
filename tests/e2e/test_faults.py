"""Faults on the wire: the built binary as a Lambda process, with a proxy between it and the local AWS.

MiniStack is laxer than AWS in places that matter here: it deletes a pool that still has a domain, it merges updates
instead of resetting what they leave out, it shows a new pool in its listing at once, and its CreateSecret refuses a
second call with the same token where AWS accepts it. So these tests show what the binary does on a real wire, as a
real process that is really killed; the same faults against AWS's stricter rules are in tests/it.
"""

import base64
import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

pytest.register_assert_rewrite("wire")

from wire import (  # noqa: E402
    KEYS,
    TOKEN,
    Aws,
    Call,
    Hold,
    Wire,
    after,
    always,
    at,
    before,
    every_fifth_call,
    hang,
    internal_error,
    jitter,
    kill,
    latency,
    meeting,
    refusal,
    reset,
    throttling,
)

SIDE_BY_SIDE = 20  # cases; most of a case's time is waiting
INVENTED_ID = "faults-M2M-1ABCDEFGHIJKL"  # CloudFormation makes one up for a Create that has not answered
CREATES_ANOTHER = ("CreateUserPool", "CreateUserPoolClient")  # their names are not unique
BEFORE_OR_AFTER = (before, after)
VERIFY = (TOKEN, KEYS, "CreateUserPoolClient")
# The last call of a Create: has a Delete come meanwhile?
LAST_LOOK = Call("DescribeSecret", 2)


@pytest.fixture(scope="module")
def aws(cloud):
    found = cloud.leftovers()
    aws = Aws(cloud)
    yield aws
    assert cloud.leftovers() == found


@pytest.fixture(scope="module")
def calls(aws):
    """Every call of a Create with default properties."""
    with Wire(aws) as wire:
        create = wire.event("Create")
        assert wire.run(create).ok
        data = wire.data(create)
        assert data["TokenVerification"] == "verified"
        aws.check_one_of_everything(wire, data)
        # Those with a token first: they take longest.
        calls = sorted((call for _, call in wire.proxy.calls), key=lambda call: (call.operation not in VERIFY, call))
    assert {*CREATES_ANOTHER, "CreateUserPoolDomain", "CreateResourceServer", "CreateSecret", TOKEN, KEYS} <= {
        call.operation for call in calls
    }
    assert LAST_LOOK in calls
    return calls


@pytest.fixture
def each(subtests):
    """Runs a check for every combination of the choices, many side by side, and reports each by its name."""

    def run(check, *choices):
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            results = [(case, threads.submit(check, *case)) for case in itertools.product(*choices)]
            assert results
            for case, result in results:
                with subtests.test(", ".join(getattr(choice, "__name__", str(choice)) for choice in case)):
                    result.result()

    return run


def create_for(wire, call, **about):
    """A Create for a fault at that call. A token costs MiniStack a new RSA key, more than all the rest of a case, so
    it is only asked for where the fault is near it."""
    verify = call.operation in VERIFY
    return wire.event("Create", VerifyToken=str(verify).lower(), **about)


def check_one_of_everything(wire, create):
    """The Create has one answer, SUCCESS, and there is one of everything; there never was a second."""
    data = wire.data(create)
    wire.aws.check_one_of_everything(wire, data)
    for operation in CREATES_ANOTHER:
        assert wire.proxy.count(operation) == 1, operation
    return data


def check_deleted(wire, physical_id):
    """A Delete with that id is answered with SUCCESS and leaves nothing."""
    delete = wire.event("Delete", physical_id)
    assert wire.run(delete).ok
    answer = wire.answer(delete)
    assert answer["Status"] == "SUCCESS", answer.get("Reason")
    assert answer["PhysicalResourceId"] == physical_id
    wire.aws.check_nothing(wire)


# --- Answers that fail, connections that break


def test_throttling_of_a_fifth_of_all_calls_is_survived(aws, each):
    def check(first):
        with Wire(aws, every_fifth_call(first, throttling)) as wire:
            create = wire.event("Create")
            assert wire.run(create).ok
            assert len(wire.proxy.faulted) >= 2
            check_one_of_everything(wire, create)

    each(check, range(5))


def test_a_broken_connection_or_a_500_at_any_call_of_a_create_makes_nothing_twice(aws, calls, each):
    def check(call, when, fault):
        with Wire(aws, at(call, when(fault))) as wire:
            create = create_for(wire, call)
            assert wire.run(create).ok
            assert wire.proxy.faulted == [call]
            assert check_one_of_everything(wire, create)["TokenVerification"] != "unreachable"

    each(check, calls, BEFORE_OR_AFTER, [reset, internal_error])


def test_a_broken_connection_or_a_500_at_any_call_of_a_delete_leaves_nothing(aws, each):
    def check(operation, when, fault):
        with Wire(aws) as wire:
            create = wire.event("Create", VerifyToken="false")
            assert wire.run(create).ok
            pool = wire.data(create)["UserPoolId"]
            call = Call(operation, wire.proxy.count(operation) + 1)
            wire.proxy.plan = at(call, when(fault))
            check_deleted(wire, pool)
            assert wire.proxy.faulted == [call]

    operations = "DescribeUserPool ListSecrets DescribeSecret DeleteSecret DeleteUserPoolDomain"
    each(check, [*operations.split(), "DeleteUserPool"], BEFORE_OR_AFTER, [reset, internal_error])


def test_no_operation_passes_five_calls_a_second_with_slow_and_throttled_answers(aws):
    with Wire(aws, every_fifth_call(0, throttling, otherwise=latency(0.05))) as wire:
        clients = [{"ClientName": f"client-{n}"} for n in range(12)]
        create = wire.event("Create", Clients=clients, VerifyToken="false")
        assert wire.run(create).ok
        data = wire.data(create)
        assert len(aws.clients(data["UserPoolId"])) == len(data["ClientIds"].split(",")) == 12
        operations = {call.operation for _, call in wire.proxy.calls}
        for operation in (operation for operation in operations if "Secret" not in operation):
            assert wire.proxy.most_in_a_second(operation) <= 5, operation


# --- A process that is killed


def test_a_create_killed_at_any_call_and_delivered_again_makes_nothing_twice(aws, calls, each):
    def check(call, when):
        with Wire(aws, at(call, when(kill(lambda: wire.runs[0])))) as wire:
            create = create_for(wire, call)
            assert wire.run(create).result is None
            assert wire.proxy.faulted == [call]
            assert wire.puts(create) == []
            assert wire.run(create).ok
            assert check_one_of_everything(wire, create)["TokenVerification"] != "unreachable"

    each(check, calls, BEFORE_OR_AFTER)


def test_a_create_killed_at_any_call_for_good_leaves_nothing_after_a_delete(aws, calls, each):
    def check(call, when):
        with Wire(aws, at(call, when(kill(lambda: wire.runs[0])))) as wire:
            assert wire.run(create_for(wire, call)).result is None
            assert wire.proxy.faulted == [call]
            check_deleted(wire, INVENTED_ID)

    each(check, calls, BEFORE_OR_AFTER)


def test_a_killed_create_that_is_delivered_again_after_its_delete_leaves_nothing(aws, each):
    def check(call, when):
        with Wire(aws, at(call, when(kill(lambda: wire.runs[0])))) as wire:
            # Lambda delivers it again after a minute; the ResponseURL tells that it is the old event.
            create = create_for(wire, call, age=60)
            assert wire.run(create).result is None
            check_deleted(wire, INVENTED_ID)
            assert wire.run(create).ok
            answer = wire.answer(create)
            assert answer["Status"] == "FAILED" and "deleted the resource" in answer["Reason"], answer
            aws.check_nothing(wire)

    operations = "ListUserPools CreateUserPool CreateUserPoolClient".split()
    each(check, [Call(operation, 1) for operation in operations], BEFORE_OR_AFTER)


# --- Two processes at once


def check_created_by_all(aws, plan, processes, verify):
    with Wire(aws, plan) as wire:
        create = wire.event("Create", VerifyToken=verify)
        runs = [wire.start(create) for _ in range(processes)]
        assert all(run.wait().ok for run in runs)
        answers = wire.answers(create)
        assert [answer["Status"] for answer in answers] == ["SUCCESS"] * processes, answers
        assert all(answer["PhysicalResourceId"] == answers[0]["PhysicalResourceId"] for answer in answers)
        assert all(answer["Data"] == answers[0]["Data"] for answer in answers)
        aws.check_one_of_everything(wire, answers[0]["Data"])
        check_deleted(wire, answers[0]["PhysicalResourceId"])


def test_the_same_create_in_two_processes_that_meet_at_a_call_makes_nothing_twice(aws, each):
    def check(operation):
        # Both are made to arrive at this call together, where both come to it.
        together = meeting(2, 0.7)
        plan = lambda call: together if call.operation == operation and call.number <= 2 else None  # noqa: E731
        check_created_by_all(aws, plan, 2, "true" if operation == TOKEN else "false")

    operations = "ListUserPools CreateUserPool CreateUserPoolDomain CreateResourceServer CreateUserPoolClient".split()
    each(check, [*operations, "CreateSecret", TOKEN])


def test_the_same_create_in_two_or_three_processes_at_once_makes_nothing_twice(aws, each):
    def check(seed, processes):
        check_created_by_all(aws, jitter(seed, 0.1), processes, "false")

    each(check, range(3), [2, 3])


def test_a_delete_with_an_invented_id_beside_a_create_at_any_call_leaves_nothing(aws, calls, each):
    def check(call, when):
        hold = Hold()
        with Wire(aws, at(call, when(hold))) as wire:
            create = create_for(wire, call)
            run = wire.start(create)
            assert hold.reached.wait(10)
            delete = wire.event("Delete", INVENTED_ID)
            deletion = wire.run(delete)
            hold.release()
            assert run.wait().ok and deletion.ok
            assert wire.answer(delete)["Status"] == "SUCCESS", wire.answer(delete)
            answer = wire.answer(create)
            # One whose last look has been answered before the Delete came does not know of it; the Delete, which saw
            # all that it had made, has removed that.
            if (call, when) != (LAST_LOOK, after):
                assert answer["Status"] == "FAILED", answer
            aws.check_nothing(wire)

    each(check, calls, BEFORE_OR_AFTER)


# --- A deadline


def test_a_call_that_hangs_is_answered_before_the_deadline_and_leaves_nothing_after_a_delete(aws, calls, each):
    def check(call, when):
        with Wire(aws, at(call, when(hang))) as wire:
            create = create_for(wire, call)
            run = wire.run(create, seconds=3)
            assert run.ok, run.result
            answer = wire.answer(create)
            assert answer["when"] < run.deadline
            # With the last look all is made, and whether the look or the work runs out of time first is a matter of
            # milliseconds.
            assert answer["Status"] == "FAILED" or call == LAST_LOOK, answer
            check_deleted(wire, answer["PhysicalResourceId"])

    # A token endpoint that hangs is no failure: see below.
    each(check, [call for call in calls if call.operation not in (TOKEN, KEYS)], BEFORE_OR_AFTER)


def a_page(exchange):
    exchange.answer(404, b"<html>There is no such host yet</html>", {"Content-Type": "text/html"})


def test_a_token_endpoint_that_cannot_be_reached_is_no_failure(aws, each):
    def check(operation, fault):
        with Wire(aws, always(operation, fault)) as wire:
            create = wire.event("Create")
            run = wire.run(create, seconds=6)
            assert run.ok, run.result
            assert check_one_of_everything(wire, create)["TokenVerification"] == "unreachable"

    each(check, [TOKEN, KEYS], [hang, reset, internal_error, throttling, a_page])


# --- A ResponseURL that does not take the answer

REFUSED = {"UserPoolTier": "GOLD"}  # properties that are answered with FAILED at once


@pytest.mark.parametrize("statuses", [[500, 500], [503, None], [None, 504]], ids=str)
def test_an_answer_is_put_again_after_a_5xx_or_a_broken_connection(aws, statuses):
    with Wire(aws, statuses=statuses) as wire:
        create = wire.event("Create", **REFUSED)
        assert wire.run(create).ok
        assert wire.answer(create)["Status"] == "FAILED"
        bodies = {body for *_, body in wire.puts(create)}
        assert len(wire.puts(create)) == 3 and len(bodies) == 1


@pytest.mark.parametrize("status", [400, 403, 404])
def test_an_answer_that_is_refused_is_not_put_again_and_the_invocation_fails(aws, status):
    with Wire(aws, statuses=[status] * 9) as wire:
        create = wire.event("Create", **REFUSED)
        kind, error = wire.run(create).result
        assert kind == "error" and str(status) in error
        assert len(wire.puts(create)) == 1


def test_an_answer_that_is_never_taken_is_given_up_before_the_deadline_and_the_invocation_fails(aws):
    with Wire(aws, statuses=[500] * 99) as wire:
        create = wire.event("Create", **REFUSED)
        kind, error = wire.run(create, seconds=2).result
        assert kind == "error" and "500" in error
        assert len(wire.puts(create)) > 2


def test_a_create_that_could_not_be_answered_and_is_delivered_again_makes_nothing_twice(aws):
    with Wire(aws, statuses=[403]) as wire:
        create = wire.event("Create")
        assert not wire.run(create).ok
        assert wire.run(create).ok
        check_one_of_everything(wire, create)


def test_an_event_without_a_response_url_makes_the_invocation_fail_and_nothing_else(aws):
    with Wire(aws) as wire:
        create = wire.event("Create")
        del create["ResponseURL"]
        kind, error = wire.run(create).result
        assert kind == "error" and "ResponseURL" in error
        assert wire.proxy.calls == []


# --- Silence about secrets, which every case above is searched for


def test_the_search_for_secrets_knows_all_that_pass_the_wire(aws):
    with Wire(aws) as wire:
        create = wire.event("Create")
        run = wire.run(create)
        data = wire.data(create)
        document = aws.document(data["ClientSecretArn"])
        credentials = f"{document['client_id']}:{document['client_secret']}"
        known = wire.proxy.secrets
        assert document["client_secret"] in known
        assert base64.b64encode(credentials.encode()).decode() in known
        assert any(secret.startswith("AWS4-HMAC-SHA256 Credential=") for secret in known)
        assert any(secret.startswith("eyJ") for secret in known), "no access token"
        assert wire.canaries["signature"] in create["ResponseURL"]
        # And it finds one that is there: every answer holds the pool's id.
        known.add(data["UserPoolId"])
        with pytest.raises(AssertionError, match=data["UserPoolId"]):
            wire.check_silence()
        known.remove(data["UserPoolId"])
        assert all(json.loads(line)["level"] for line in run.lines())


def the_body(handler):
    return handler.body.decode()


def the_secret_string(handler):
    return json.loads(handler.body)["SecretString"]


def the_headers(handler):
    """As in the canonical request that AWS quotes where a signature does not match; the session token is in it."""
    headers = {name.lower(): value for name, value in handler.headers.items()}
    return "\n".join(f"{name}:{value}" for name, value in headers.items() if name != "authorization")


def the_authorization(handler):
    return f"Authorization={handler.headers['Authorization']}"


def the_credentials(handler):
    return base64.b64decode(handler.headers["Authorization"].removeprefix("Basic ")).decode()


class Refused(NamedTuple):
    operation: str
    part: Callable

    def __str__(self):
        return f"{self.operation} quoting {self.part.__name__}"


def quoting(part):
    """A refusal that quotes a part of what it refuses, as AWS's errors do."""

    def refuse(exchange):
        message = f"1 validation error detected: Value '{part(exchange.handler)}' failed to satisfy constraint"
        if exchange.call.operation == TOKEN:
            exchange.answer(400, json.dumps({"error": "invalid_client", "error_description": message}).encode())
        else:
            exchange.answer(400, *refusal("InvalidParameterException", message))

    return refuse


def test_a_refusal_that_quotes_a_secret_does_not_make_the_provider_tell_it(aws, each):
    def check(refused):
        operation, part = refused
        with Wire(aws, always(operation, quoting(part))) as wire:
            create = wire.event("Create")
            assert wire.run(create).ok
            answer = wire.answer(create)
            assert answer["Status"] == "FAILED"
            check_deleted(wire, answer["PhysicalResourceId"])

    quotes = {
        "CreateSecret": [the_body, the_secret_string],
        "CreateUserPool": [the_headers, the_authorization],
        TOKEN: [the_credentials, the_authorization],
    }
    each(check, [Refused(operation, part) for operation, parts in quotes.items() for part in parts])
