"""One Protocol file per outside capability; each says what every implementation promises."""
