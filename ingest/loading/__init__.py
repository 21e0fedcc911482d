"""Files to load: where they stand (``progress``), what is in them (``rows``), and what it means (``mapping``)."""
