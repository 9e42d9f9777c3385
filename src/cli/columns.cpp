#include "cli/columns.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

namespace dtrain::cli {

std::string entry(const std::string& term, int term_width, const std::string& meaning) {
  const int indent = term_width + 4;
  const std::string blanks(static_cast<std::size_t>(indent), ' ');
  std::string text = fmt::format("  {:<{}}  ", term, term_width);
  if (static_cast<int>(term.size()) > term_width) text = "  " + term + "\n" + blanks;
  const auto lines = split(wrap(meaning, page_width - indent, 0), '\n');
  return text + join(lines, "\n" + blanks) + "\n";
}

}  // namespace dtrain::cli
