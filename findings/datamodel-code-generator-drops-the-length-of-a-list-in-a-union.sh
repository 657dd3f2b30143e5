#!/bin/sh
# Subject:   datamodel-code-generator 0.89.0, Python 3.11 or newer.
# Behaviour: by default `minItems` and `maxItems` of a list that is a branch of `anyOf` are missing in the generated pydantic model. The
#            same list outside `anyOf` keeps them. With --use-annotated both keep them. There is no warning, and the status is 0.
# Seen:      default: the list in the union accepts an empty list, the plain list refuses it
#            --use-annotated: the list in the union refuses an empty list, the plain list refuses it
# Surprise:  the document is valid OpenAPI 3.1. The help describes the option as another way of writing the same constraints.
# For users: a model accepts a list that the service refuses. Generate with --use-annotated.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action=ignore --no-compile \
    --target "$work/packages" \
    annotated-types==0.8.0 argcomplete==3.7.2 black==26.10.1 click==8.5.1 datamodel-code-generator==0.89.0 genson==1.4.0 \
    inflect==7.6.0 isort==8.0.1 jaraco.functools==4.6.0 Jinja2==3.1.6 MarkupSafe==3.0.4 more-itertools==11.2.1 \
    mypy_extensions==1.2.0 packaging==26.4 pathspec==1.1.1 platformdirs==4.14.8 pydantic==2.14.4 pydantic_core==2.50.5 \
    pytokens==0.4.1 PyYAML==6.0.4 typeguard==4.6.1 typing-inspection==0.4.5 typing_extensions==4.16.0
cat >"$work/things.json" <<'JSON'
{"openapi": "3.1.0", "info": {"title": "Things", "version": "1"}, "paths": {}, "components": {"schemas": {
  "Plain": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
  "Union": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}]}}}}
JSON
cat >"$work/verdict.py" <<'PYTHON'
import sys

import models
from pydantic import ValidationError


def verdict(model: type) -> str:
    try:
        model.model_validate([])
    except ValidationError:
        return "refuses"
    return "accepts"


union, plain = verdict(models.Union), verdict(models.Plain)
print(f"{sys.argv[1]}: the list in the union {union} an empty list, the plain list {plain} it")
PYTHON
export PYTHONPATH="$work/packages" PYTHONDONTWRITEBYTECODE=1
cd "$work"
judge() { # NAME [OPTION]
    name=$1 && shift
    python3 -m datamodel_code_generator --input things.json --input-file-type openapi \
        --output-model-type pydantic_v2.BaseModel --output models.py "$@" 2>"$work/log"
    python3 verdict.py "$name"
}
{ judge default && judge --use-annotated --use-annotated; } | tee seen
cat >expected <<'TEXT'
default: the list in the union accepts an empty list, the plain list refuses it
--use-annotated: the list in the union refuses an empty list, the plain list refuses it
TEXT
cmp -s seen expected
