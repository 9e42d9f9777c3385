#pragma once
/// Writes a manual page in man(7) macros.

#include <string>
#include <string_view>

namespace dtrain::cli {

/// Text of a page, built from top to bottom. Arguments are plain text; in them, a word between backquotes is set in
/// bold.
class Roff {
 public:
  /// `name`: "dtrain"; `section`: 1.
  Roff(std::string_view name, int section, std::string_view version, std::string_view manual);

  Roff& section(std::string_view title);
  Roff& subsection(std::string_view title);
  Roff& paragraph(std::string_view text);
  /// A term in bold, its value in italics (either may be ""), and what it means, indented.
  Roff& term(std::string_view bold, std::string_view italic, std::string_view meaning);
  /// A further paragraph of the term before.
  Roff& more(std::string_view text);
  /// Lines set as they are.
  Roff& example(std::string_view lines);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool headed_ = false;  ///< a paragraph right after a heading needs no macro
};

}  // namespace dtrain::cli
