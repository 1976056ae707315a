"""Each refusal has one status, and says on the wire what a program needs."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2

from credits.rating.v1 import (
    invoice_service_pb2,
    rating_service_pb2,
    rerating_service_pb2,
    simulation_service_pb2,
    usage_report_service_pb2,
)
from rating_service.application.ports import LedgerRefused, LedgerUnavailableError, StoreUnavailableError
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.refusals import Reason, Refusal
from rating_service.rpc.calls import METHODS
from rating_service.rpc.statuses import CODES, internal_status, reason_of, status_of


def details(status: status_pb2.Status, kind: type) -> list[object]:
    found = []
    for detail in status.details:
        message = kind()
        if detail.Unpack(message):
            found.append(message)
    return found


def test_each_refusal_appears_once_in_the_table_and_no_reason_twice() -> None:
    reasons = [*Reason, *RequestReason]

    assert set(CODES) == set(reasons)
    assert len({reason.value for reason in reasons}) == len(reasons)


def test_every_method_of_the_protos_is_wrapped() -> None:
    services = [
        *rating_service_pb2.DESCRIPTOR.services_by_name.values(),
        *invoice_service_pb2.DESCRIPTOR.services_by_name.values(),
        *rerating_service_pb2.DESCRIPTOR.services_by_name.values(),
        *usage_report_service_pb2.DESCRIPTOR.services_by_name.values(),
        *simulation_service_pb2.DESCRIPTOR.services_by_name.values(),
    ]

    assert {
        service.full_name: tuple(method.name for method in service.methods) for service in services
    } == METHODS


def test_a_refusal_carries_domain_reason_and_metadata() -> None:
    status = status_of(Refusal(Reason.UNKNOWN_DIMENSION, "no rate", dimension="voice"))
    [info] = details(status, error_details_pb2.ErrorInfo)

    assert status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert info == error_details_pb2.ErrorInfo(
        domain="rating.credits", reason="UNKNOWN_DIMENSION", metadata={"dimension": "voice"}
    )


def test_a_field_at_fault_is_named() -> None:
    refusal = RequestRefused(RequestReason.FIELD_REQUIRED, "usage.id is required", field="usage.id")
    [bad] = details(status_of(refusal), error_details_pb2.BadRequest)

    assert isinstance(bad, error_details_pb2.BadRequest)
    assert bad.field_violations[0].field == "usage.id"


def test_what_may_be_retried_says_when() -> None:
    for away in (LedgerUnavailableError("x"), StoreUnavailableError("x")):
        status = status_of(away)

        assert status.code == grpc.StatusCode.UNAVAILABLE.value[0]
        assert len(details(status, error_details_pb2.RetryInfo)) == 1


def test_the_ledgers_status_is_passed_on_as_it_is() -> None:
    status = status_pb2.Status(code=9, message="no credit")

    assert status_of(LedgerRefused(status)) is status


def test_an_unexpected_error_shows_its_incident_only() -> None:
    status = internal_status("abc")

    assert (status.message, reason_of(status)) == ("internal error, incident abc", "INTERNAL")
