"""Hash trees and signatures over the log, as pure functions (FORMATS.md sections 4 to 8)."""
