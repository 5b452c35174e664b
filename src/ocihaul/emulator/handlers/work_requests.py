"""Work requests as their owner sees them: how far a copy is, and why it failed."""

from ocihaul.emulator.call import Call
from ocihaul.emulator.handlers.common import SHORT_PAGE, numbered_page
from ocihaul.emulator.responses import Answer, ApiError, json_answer, timestamp
from ocihaul.emulator.state import Service


def get_work_request(service: Service, call: Call) -> Answer:
    """How far it is."""
    work = service.work.get(call.parameters["work"])
    return json_answer(work.document(service.now()))


def list_work_requests(service: Service, call: Call) -> Answer:
    """Those of a compartment, the newest first; 400 without a compartment."""
    compartment = call.query.get("compartmentId")
    if not compartment:
        raise ApiError(400, "MissingParameter", "The compartmentId is missing")
    now = service.now()
    values = [work.document(now) for work in service.work.of(compartment)]
    return numbered_page(service, call, values, usual=SHORT_PAGE)


def cancel_work_request(service: Service, call: Call) -> Answer:
    """Give it up; 409 when it is done."""
    service.work.cancel(service.work.get(call.parameters["work"]))
    return Answer(status=202)


def list_errors(service: Service, call: Call) -> Answer:
    """Why it failed."""
    work = service.work.get(call.parameters["work"])
    values = []
    if work.error is not None:
        moment = timestamp(work.due)
        values = [{"code": work.error.code, "message": work.error.message, "timestamp": moment}]
    return numbered_page(service, call, values, usual=SHORT_PAGE)


def list_logs(service: Service, call: Call) -> Answer:
    """What has happened."""
    work = service.work.get(call.parameters["work"])
    return numbered_page(service, call, work.log(), usual=SHORT_PAGE)
