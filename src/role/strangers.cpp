#include "role/strangers.hpp"

namespace dtrain::role {

void Strangers::note(const std::string& why, std::uint64_t times) {
  if (times == 0) return;
  count_ += times, untold_ += times;
  if (Clock::now() - told_at_ < interval) return;
  log_.warn("refused {}{}", why,
            untold_ > 1 ? fmt::format(", and {} others since the last such line", untold_ - 1) : "");
  told_at_ = Clock::now();
  untold_ = 0;
}

void Strangers::note_total(const std::string& why, std::uint64_t total, std::uint64_t& noted) {
  note(why, total - noted);
  noted = total;
}

void Strangers::conclude() {
  if (count_ > 0)
    log_.warn("refused {} connection{} or message{} of strangers in all", count_, count_ == 1 ? "" : "s",
              count_ == 1 ? "" : "s");
}

}  // namespace dtrain::role
