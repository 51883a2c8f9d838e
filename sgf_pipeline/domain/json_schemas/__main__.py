"""Write the published files anew."""

from sgf_pipeline.domain.json_schemas import FOLDER, published

for name, content in published().items():
    (FOLDER / name).write_text(content, encoding="utf-8")
