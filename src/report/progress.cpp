#include "report/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"
#include "report/table.hpp"

namespace dtrain::report {
namespace {

constexpr Seconds live_interval{0.1}, plain_interval{5.0};

/// A part of the line; `rank`: the higher, the sooner it is left out.
struct Part {
  std::string text;
  int rank = 0;
  const char* color = "";
};

constexpr const char* bold = "\x1b[1m";
constexpr const char* dim = "\x1b[2m";
constexpr const char* red = "\x1b[31m";
constexpr const char* green = "\x1b[32m";
constexpr const char* plain = "\x1b[0m";
constexpr const char* clear_to_end = "\x1b[K";

/// Columns of UTF-8 text: code points, which is right for all that is drawn here.
int columns_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

/// At most `columns`, never within a code point.
std::string cut(std::string_view text, int columns) {
  std::size_t at = 0;
  for (; at < text.size(); ++at)
    if ((text[at] & 0xc0) != 0x80 && columns-- <= 0) break;
  return std::string(text.substr(0, at));
}

double share_done(const Status& status) {
  if (status.steps <= 0) return 0;
  return std::clamp(static_cast<double>(status.step) / static_cast<double>(status.steps), 0.0, 1.0);
}

std::string bar(double share, int width, const Look& look) {
  const int halves = static_cast<int>(std::floor(share * 2 * width));
  const int full = halves / 2;
  const bool half = halves % 2 == 1;
  auto repeat = [](std::string_view glyph, int times) {
    std::string out;
    for (int k = 0; k < times; ++k) out += glyph;
    return out;
  };
  const std::string filled = repeat(look.unicode ? "━" : "#", full) + (half ? (look.unicode ? "╸" : ">") : "");
  const std::string rest = repeat(look.unicode ? "─" : "-", width - full - (half ? 1 : 0));
  if (!look.color) return filled + rest;
  return green + filled + plain + dim + rest + plain;
}

std::string epoch_text(const Status& status) {
  const auto running = static_cast<std::int64_t>(std::floor(status.epoch)) + 1;
  return fmt::format("epoch {}/{}", std::clamp<std::int64_t>(running, 1, std::max<std::int64_t>(status.epochs, 1)),
                     status.epochs);
}

std::string step_text(const Status& status) {
  return fmt::format("step {}/{}", with_commas(status.step), with_commas(status.steps));
}

std::string loss_text(double loss) { return fmt::format("loss {:.4g}", without_nan_sign(loss)); }

std::string speed_text(double rate) {
  return rate < 10 ? fmt::format("{:.2g} samples/s", rate) : fmt::format("{} samples/s", count_text(rate));
}

/// The parts in the order of the line; the bar stands where its text is empty.
std::vector<Part> parts_of(const std::string& name, const Status& status, double eta) {
  std::vector<Part> parts;
  if (!name.empty()) parts.push_back({name, 7, bold});
  if (status.epochs > 0) parts.push_back({epoch_text(status), 2});
  parts.push_back({"", 4});
  parts.push_back({step_text(status), 0});
  if (status.step > 0) parts.push_back({loss_text(status.loss), 1, std::isfinite(status.loss) ? "" : red});
  if (std::isfinite(status.samples_per_second) && status.samples_per_second > 0)
    parts.push_back({speed_text(status.samples_per_second), 6});
  if (!status.latest_test.empty()) parts.push_back({status.latest_test, 5});
  if (eta >= 0) parts.push_back({"ETA " + human_seconds(std::max(1.0, std::round(eta))), 3, dim});
  return parts;
}

int width_without_bar(const std::vector<Part>& parts) {
  int width = -2;
  for (const Part& part : parts) width += 2 + columns_of(part.text);
  return width;
}

bool locale_is_utf8() {
  for (const char* variable : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text(value);
    return text.find("UTF-8") != text.npos || text.find("utf8") != text.npos || text.find("utf-8") != text.npos;
  }
  return false;
}

int terminal_columns(int fd) {
  winsize size{};
  return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void write_whole(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string live_line(const std::string& name, const Status& status, double eta, const Look& look) {
  constexpr int narrowest_bar = 8, widest_bar = 30;
  const int room = look.columns - 1;  // the last column stays free: some terminals wrap when it is written
  std::vector<Part> parts = parts_of(name, status, eta);
  auto has_bar = [&] { return std::any_of(parts.begin(), parts.end(), [](const Part& p) { return p.text.empty(); }); };
  while (parts.size() > 1 && width_without_bar(parts) + (has_bar() ? narrowest_bar : 0) > room)
    parts.erase(
        std::max_element(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.rank < b.rank; }));
  const int bar_width = std::clamp(room - width_without_bar(parts), narrowest_bar, widest_bar);
  std::string line;
  for (const Part& part : parts) {
    if (!line.empty()) line += "  ";
    if (part.text.empty()) {
      line += bar(share_done(status), bar_width, look);
      continue;
    }
    const std::string text = cut(part.text, room);
    line += look.color && *part.color != '\0' ? part.color + text + plain : text;
  }
  return line;
}

std::string plain_line(const std::string& name, const Status& status, double eta) {
  std::vector<std::string> texts;
  for (const Part& part : parts_of("", status, eta))
    if (!part.text.empty()) texts.push_back(part.text);
  return (name.empty() ? "" : name + ": ") + join(texts, ", ");
}

Progress::Progress(Mode mode, bool color, std::string name, int fd)
    : mode_(mode), color_(color), unicode_(locale_is_utf8()), name_(std::move(name)), fd_(fd) {}

Progress::~Progress() {
  if (!shown_.empty()) write_whole(fd_, "\n");
}

double Progress::eta(const Status& status, Clock::time_point now) {
  // Steps that a resumed run did earlier say nothing about its speed now.
  if (first_step_ < 0) first_step_ = status.step, started_ = now;
  const Index done = status.step - first_step_;
  if (done <= 0 || status.steps <= status.step) return -1;
  return Seconds(now - started_).count() / static_cast<double>(done) * static_cast<double>(status.steps - status.step);
}

void Progress::update(const Status& status, bool force, Clock::time_point now) {
  if (mode_ == Mode::none) return;
  const double left = eta(status, now);
  if (drawn_ && !force && now - last_ < (mode_ == Mode::live ? live_interval : plain_interval)) return;
  drawn_ = true;
  last_ = now;
  if (mode_ == Mode::live)
    redraw(live_line(name_, status, left, {terminal_columns(fd_), color_, unicode_}));
  else
    write_whole(fd_, plain_line(name_, status, left) + "\n");
}

std::string Progress::over(const std::string& text) const {
  std::string out = "\r" + text;
  // Without escape codes blanks wipe what the last line left over.
  if (color_)
    out += clear_to_end;
  else
    out.append(static_cast<std::size_t>(std::max(0, columns_of(shown_) - columns_of(text))), ' ');
  return out;
}

void Progress::redraw(const std::string& text) {
  write_whole(fd_, over(text));
  shown_ = text;
}

void Progress::line(const std::string& text) {
  if (mode_ == Mode::none) return;
  if (shown_.empty()) {
    write_whole(fd_, text + "\n");
    return;
  }
  write_whole(fd_, over(text) + "\n");
  redraw(std::exchange(shown_, ""));
}

}  // namespace dtrain::report
