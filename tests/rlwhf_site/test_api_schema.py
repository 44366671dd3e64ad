"""What `/api/docs` says of an operation is what the operation takes and gives."""

from typing import Any

from ninja.openapi.schema import OpenAPISchema

from rlwhf_site.api import api


class Heard(OpenAPISchema):
    """The API's own schema, with the names that were told as two different things: the last one would stand for both."""

    def add_schema_definitions(self, definitions: dict[str, Any]) -> None:
        for name, told in definitions.items():
            if self.schemas.get(name, told) != told:
                self.told_twice.add(name)
        super().add_schema_definitions(definitions)

    told_twice: set[str] = set()


def test_no_two_schemas_of_the_api_share_a_name():
    Heard.told_twice = set()
    assert Heard(api, "api/")["components"]["schemas"]
    assert not Heard.told_twice


def test_the_documented_body_of_a_score_is_the_one_that_is_taken():
    schema = api.get_openapi_schema()
    body = schema["paths"]["/api/items/{pk}/scores"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "overall" in schema["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]]["properties"]
