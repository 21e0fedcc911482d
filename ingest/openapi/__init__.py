"""What the front door takes and answers, as OpenAPI 3.1 and as a page to read."""

from ingest.openapi.document import specification

__all__ = ["specification"]
