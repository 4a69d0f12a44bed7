"""The C core, and the Jinja2 templates of the firmware. Data, not code: `nca_hw.firmware` renders and compiles them."""
