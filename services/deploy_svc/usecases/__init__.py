"""One module per noun, one async function per verb; a use case owns its transactions."""
