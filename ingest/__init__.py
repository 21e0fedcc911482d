"""HTTP in, Kafka out: tracking links, postbacks, bulk events; loading files; the catalog log.

What to import from here:

- `ingest.settings`: `IngestSettings`; `ingest.server`: `serve`.
- `ingest.catalog_log`: `read_catalog_log`, `publish_catalog`.
- `ingest.load`: `load_file`, `intake_now`; `ingest.loading`: a file's rows, mapping, progress;
  `ingest.bulk_publisher`: `BulkPublisher`.
- `ingest.errors`: everything that these raise.

Nothing is imported by this module itself: a command that needs one part does not load the others' libraries.
"""
