"""One TOML a board. Data, not code: `nca_hw.formats.boards` reads them."""
