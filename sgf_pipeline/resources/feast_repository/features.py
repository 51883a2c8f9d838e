"""The Feast definitions of one SGF batch: entities, feature views and a feature service, all made from views.json.

`sgf features materialize` copies this file beside views.json, and `feast apply` finds it there. It runs in Feast's own
environment, so it imports nothing of SGF.
"""

import json
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

_folder = Path(__file__).resolve().parent
_views = json.loads((_folder / "views.json").read_text())["views"]

_entities = {
    key: Entity(name=key, join_keys=[key], value_type=ValueType.STRING)
    for key in sorted({key for view in _views for key in view["keys"]})
}
_feature_views = {
    view["name"]: FeatureView(
        name=view["name"],
        entities=[_entities[key] for key in view["keys"]],
        schema=[Field(name=name, dtype=Float64, description=meaning) for name, meaning in view["features"].items()],
        source=FileSource(
            name=f"{view['name']}_source",
            path=str(_folder / "data" / f"{view['name']}.parquet"),
            timestamp_field="event_time",
        ),
        ttl=timedelta(0),  # for ever: a batch does not age
        online=True,
    )
    for view in _views
}
_service = FeatureService(name="all_features", features=list(_feature_views.values()))

# Feast looks for objects at the top of the module.
globals().update({f"entity_{name}": entity for name, entity in _entities.items()})
globals().update({f"view_{name}": view for name, view in _feature_views.items()})
globals()["service_all_features"] = _service

DEFINITIONS = [*_entities.values(), *_feature_views.values(), _service]
