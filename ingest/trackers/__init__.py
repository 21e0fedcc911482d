"""Other people's SDKs pointed here: Segment's tracking API and Snowplow's collector.

Purchases become conversions, by a mapping in configuration. All else that such an SDK sends (page views, pings,
identities) is acknowledged, counted as ignored with its kind, and written nowhere: it is no event of ours, so the
audit, which counts the records of the log, does not know it.
"""
