"""The durable spool: where events wait while Kafka is slow or away.

``ingest.spool.publisher.SpoolingPublisher`` is what the front door publishes with.
"""
