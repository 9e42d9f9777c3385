#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "job/findings.hpp"
#include "job/read.hpp"

namespace dtrain::job {
namespace {

/// Wider lines are shown in part.
constexpr std::size_t widest_line = 160;

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

/// Offset of a character, counted from 0.
std::size_t offset_of(std::string_view text, std::size_t character) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (!starts_character(text[at])) continue;
    if (character == 0) break;
    --character;
  }
  return at;
}

/// What a terminal can take: the reader has told of bytes that are no text, and here they must not act.
std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t bad; (bad = find_bad_byte(text)) != std::string_view::npos; text.remove_prefix(bad + 1)) {
    out += text.substr(0, bad);
    out += '?';
  }
  return out.append(text);
}

/// A source line with the token underlined; tabs stay, so that the caret stands right whatever their width.
std::string pointed(std::string_view line, const Diagnostic& diagnostic) {
  std::size_t column = static_cast<std::size_t>(diagnostic.place.column) - 1;
  if (column > widest_line / 2) {
    line.remove_prefix(offset_of(line, column - widest_line / 4));
    column = widest_line / 4;
  }
  line = line.substr(0, offset_of(line, widest_line));
  const std::size_t token = offset_of(line, column);
  std::string padding;
  for (const char c : line.substr(0, token))
    if (starts_character(c)) padding += c == '\t' ? '\t' : ' ';
  const std::size_t room = std::max<std::size_t>(1, count_characters(line.substr(token)));
  const std::size_t length = std::clamp<std::size_t>(static_cast<std::size_t>(diagnostic.length), 1, room);
  return fmt::format("{:5d} | {}\n      | {}^{}\n", diagnostic.place.line, printable(line), padding,
                     std::string(length - 1, '~'));
}

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string tally(const std::vector<Diagnostic>& all) {
  const auto errors = static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::error; }));
  const std::size_t warnings = all.size() - errors;
  if (errors == 0) return counted(warnings, "warning");
  return counted(errors, "error") + (warnings == 0 ? "" : ", " + counted(warnings, "warning"));
}

}  // namespace

std::string render(const ReadResult& result) {
  const std::vector<std::string> lines = split(result.text, '\n');
  std::string out;
  for (const Diagnostic& diagnostic : result.diagnostics) {
    const bool error = diagnostic.severity == Diagnostic::Severity::error;
    out += fmt::format("{}: {}: {}\n", describe(diagnostic.place), error ? "error" : "warning", diagnostic.message);
    const auto number = static_cast<std::size_t>(diagnostic.place.line);
    if (number == 0 || number > lines.size()) continue;
    std::string_view line = lines[number - 1];
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    out += pointed(line, diagnostic);
  }
  if (result.diagnostics.size() > 1) out += tally(result.diagnostics) + "\n";
  return out;
}

}  // namespace dtrain::job
