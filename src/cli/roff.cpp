#include "cli/roff.hpp"

#include <algorithm>
#include <cctype>

#include "base/error.hpp"
#include "base/text.hpp"

namespace dtrain::cli {
namespace {

/// A character that roff would read otherwise, as an escape.
std::string escaped(char c) {
  switch (c) {
    case '\\': return "\\e";
    case '-': return "\\-";
    case '\'': return "\\(aq";
    case '^': return "\\(ha";
    case '~': return "\\(ti";
    case '"': return "\\(dq";
    default: return std::string(1, c);
  }
}

/// A line that begins with a dot would be a macro.
std::string guarded(const std::string& line) { return line.rfind('.', 0) == 0 ? "\\&" + line : line; }

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) out += escaped(c);
  return out;
}

/// Where lines of the source are broken, so that a difference between two pages can be read.
constexpr int source_width = 78;

/// Prose: backquotes set bold, a sentence ends its line as man pages have it.
std::string prose(std::string_view text) {
  std::string out;
  bool bold = false;
  for (std::size_t k = 0; k < text.size(); ++k) {
    if (text[k] == '`') {
      out += (bold = !bold) ? "\\fB" : "\\fR";
    } else if (text[k] == ' ' && k > 0 && (text[k - 1] == '.' || text[k - 1] == '?')) {
      out += '\n';
    } else {
      out += escaped(text[k]);
    }
  }
  std::vector<std::string> lines;
  for (const std::string& line : split(out, '\n'))
    for (const std::string& part : split(wrap(line, source_width, 0), '\n')) lines.push_back(guarded(part));
  return join(lines, "\n") + "\n";
}

}  // namespace

Roff::Roff(std::string_view name, int section, std::string_view version, std::string_view manual) {
  std::string title = plain(name);
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  text_ = fmt::format(".TH {} {} \"\" \"dtrain {}\" \"{}\"\n", title, section, version, manual);
}

Roff& Roff::section(std::string_view title) {
  text_ += fmt::format(".SH {}\n", title);
  headed_ = true;
  return *this;
}

Roff& Roff::subsection(std::string_view title) {
  text_ += fmt::format(".SS \"{}\"\n", plain(title));
  headed_ = true;
  return *this;
}

Roff& Roff::paragraph(std::string_view text) {
  text_ += (headed_ ? "" : ".PP\n") + prose(text);
  headed_ = false;
  return *this;
}

Roff& Roff::term(std::string_view bold, std::string_view italic, std::string_view meaning) {
  headed_ = false;
  text_ += ".TP\n";
  if (!bold.empty()) text_ += fmt::format("\\fB{}\\fR", plain(bold));
  if (!bold.empty() && !italic.empty()) text_ += ' ';
  if (!italic.empty()) text_ += fmt::format("\\fI{}\\fR", plain(italic));
  text_ += "\n" + prose(meaning);
  return *this;
}

Roff& Roff::more(std::string_view text) {
  text_ += ".IP\n" + prose(text);
  return *this;
}

Roff& Roff::example(std::string_view lines) {
  text_ += ".PP\n.RS 4\n.nf\n";
  for (const std::string& line : split(lines, '\n')) text_ += guarded(plain(line)) + "\n";
  text_ += ".fi\n.RE\n";
  return *this;
}

}  // namespace dtrain::cli
