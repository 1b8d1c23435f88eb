"""`/v2/phone_numbers…`, `/v2/mobile_phone_numbers…` and the bulk updates (under both of their documented paths).

The key in a path is a number's id or the number in E.164. Numbers are listed by id if no order is requested.
"""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, request

from otp_service.sandbox.bulk_orders import MAX_NUMBERS
from otp_service.sandbox.carrier import Carrier
from otp_service.sandbox.errors import CarrierError, not_found
from otp_service.sandbox.fields import missing, parse_object
from otp_service.sandbox.numbers import Number
from otp_service.sandbox.paging import bad_parameter, page
from otp_service.sandbox.regions import E164
from otp_service.sandbox.responses import json_response
from otp_service.sandbox.seeds import ORGANIZATION_ID

PRODUCTS = ("A2P", "P2P")
MAX_TAGS = 50
_KINDS = ("tollfree", "longcode", "shortcode")


def blueprint(carrier: Carrier) -> Blueprint:
    """The routes about numbers."""
    routes = Blueprint("v2_numbers", __name__)

    def number_json(number: Number) -> dict[str, object]:
        return number.to_json(ORGANIZATION_ID)

    def find(key: str, *, mobile: bool) -> Number:
        number = carrier.numbers.find(key, mobile=mobile)
        if number is None:
            raise not_found("The number was not found.")
        return number

    def profile(value: str | None) -> str | None:
        """An existing profile id, or None for the empty string, which removes a number from its profile."""
        if not value:
            return None
        if not carrier.numbers.has_profile(value):
            raise CarrierError(422, "10027", "The messaging profile does not exist.", pointer="/messaging_profile_id")
        return value

    @routes.get("/v2/phone_numbers/messaging")
    def list_numbers() -> Response:
        numbers = _sorted(_filtered(list(carrier.numbers.list(mobile=False))))
        return json_response(page(request.args, numbers, number_json))

    @routes.get("/v2/phone_numbers/<key>/messaging")
    def show_number(key: str) -> Response:
        return json_response({"data": number_json(find(key, mobile=False))})

    @routes.patch("/v2/phone_numbers/<key>/messaging")
    def update_number(key: str) -> Response:
        number = find(key, mobile=False)
        fields = parse_object(request.get_data())
        assigned = fields.text("messaging_profile_id")
        profile_id = profile(assigned)
        product = fields.choice("messaging_product", PRODUCTS, number.product)
        if product not in {number.product, "A2P"}:
            raise CarrierError(
                422, "10032", "The number is not eligible for this product.", pointer="/messaging_product"
            )
        tags = fields.texts("tags")
        if tags is not None and len(tags) > MAX_TAGS:
            raise CarrierError(422, "10033", f"A number has at most {MAX_TAGS} tags.", pointer="/tags")
        if assigned is not None:
            carrier.numbers.assign(number, profile_id)
        carrier.numbers.update(number, product=product, tags=tags)
        return json_response({"data": number_json(number)})

    @routes.get("/v2/mobile_phone_numbers/messaging")
    def list_mobile() -> Response:
        return json_response(page(request.args, list(carrier.numbers.list(mobile=True)), number_json))

    @routes.get("/v2/mobile_phone_numbers/<key>/messaging")
    def show_mobile(key: str) -> Response:
        return json_response({"data": number_json(find(key, mobile=True))})

    @routes.post("/v2/messaging_numbers_bulk_updates", endpoint="bulk")
    @routes.post("/v2/messaging_numbers/bulk_updates", endpoint="bulk_alias")
    def create_bulk() -> Response:
        fields = parse_object(request.get_data())
        profile_id = profile(fields.required_text("messaging_profile_id"))
        addresses = fields.texts("numbers")
        if not addresses:
            raise missing("numbers")
        if len(addresses) > MAX_NUMBERS:
            raise CarrierError(422, "10033", f"An order has at most {MAX_NUMBERS} numbers.", pointer="/numbers")
        for position, address in enumerate(addresses):
            if not E164.fullmatch(address):
                raise CarrierError(422, "10015", "Numbers must be in +E.164 format.", pointer=f"/numbers/{position}")
        fields.flag("assign_only", False)
        return json_response({"data": carrier.bulk_orders.create(profile_id, addresses)})

    @routes.get("/v2/messaging_numbers_bulk_updates/<order_id>", endpoint="bulk_status")
    @routes.get("/v2/messaging_numbers/bulk_updates/<order_id>", endpoint="bulk_status_alias")
    def show_bulk(order_id: str) -> Response:
        order = carrier.bulk_orders.show(order_id)
        if order is None:
            raise not_found("The order was not found.")
        return json_response({"data": order})

    return routes


def _filtered(numbers: list[Number]) -> list[Number]:
    query = request.args
    profile_id = query.get("filter[messaging_profile_id]")
    if profile_id:
        try:
            profile_id = str(UUID(profile_id))
        except ValueError:
            raise bad_parameter("filter[messaging_profile_id]", "The profile id must be a UUID.") from None
        numbers = [number for number in numbers if number.profile_id == profile_id]
    if wanted := query.get("filter[phone_number]"):
        # A '+' that was not percent-encoded arrives as a space.
        addresses = {address.strip().removeprefix("+") for address in wanted.split(",")}
        numbers = [number for number in numbers if number.phone_number.removeprefix("+") in addresses]
    if part := query.get("filter[phone_number][contains]"):
        numbers = [number for number in numbers if part.strip() in number.phone_number]
    if kind := query.get("filter[type]"):
        if kind not in _KINDS:
            raise bad_parameter("filter[type]", f"The type must be one of {', '.join(_KINDS)}.")
        numbers = [number for number in numbers if number.kind == kind]
    return numbers


def _sorted(numbers: list[Number]) -> list[Number]:
    order = request.args.get("sort[phone_number]")
    if not order:
        return numbers
    if order not in {"asc", "desc"}:
        raise bad_parameter("sort[phone_number]", "The order must be 'asc' or 'desc'.")
    return sorted(numbers, key=lambda number: number.phone_number, reverse=order == "desc")
