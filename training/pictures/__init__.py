"""The illustrator's pictures: `world` (what there is), `scene` (what is where), `ground` and `render` (paint), `captions` (words)."""
