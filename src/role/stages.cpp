#include "role/stages.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <limits>
#include <numeric>

#include "base/error.hpp"
#include "base/time.hpp"

namespace dtrain::role {
namespace {

constexpr std::size_t no_bound = std::numeric_limits<std::size_t>::max();

}  // namespace

Stages::Stages(const data::Rows& rows, const data::Encoding& encoding, std::size_t room)
    : rows_(rows),
      encoding_(encoding),
      ready_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      orders_(no_bound),
      read_(room),
      done_(no_bound) {
  if (ready_ < 0) fail(Kind::environment, "no eventfd for the stages of a loader");
  reader_ = std::thread([this] { guard(&Stages::read); });
  transformer_ = std::thread([this] { guard(&Stages::transform); });
}

Stages::~Stages() {
  orders_.close(), read_.close(), done_.close();
  reader_.join(), transformer_.join();
  ::close(ready_);
}

void Stages::guard(void (Stages::*stage)()) {
  try {
    (this->*stage)();
  } catch (...) {
    const std::lock_guard lock(failing_);
    failure_ = std::current_exception();
    tell();
  }
}

void Stages::tell() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(ready_, &one, sizeof one);
}

void Stages::put(RowOrder order) { orders_.push(std::move(order)); }

std::optional<EncodedBatch> Stages::take() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read = ::read(ready_, &count, sizeof count);
  {
    const std::lock_guard lock(failing_);
    if (failure_) std::rethrow_exception(failure_);
  }
  return done_.try_pop();
}

void Stages::read() {
  while (auto order = orders_.pop()) {
    const Clock::time_point began = Clock::now();
    data::Table table = rows_.table(order->rows);
    Read read{std::move(*order), std::move(table)};
    read_seconds_ = read_seconds_ + seconds_since(began);
    if (!read_.push(std::move(read))) return;
  }
}

void Stages::transform() {
  while (auto read = read_.pop()) {
    const Clock::time_point began = Clock::now();
    const std::unique_ptr<data::Rows> rows = data::rows_of(std::move(read->table), encoding_);
    const Index count = rows->count(), width = rows->width();
    EncodedBatch batch{std::move(read->order), std::vector<float>(static_cast<std::size_t>(count * (width + 1)))};
    std::vector<std::uint32_t> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0u);
    rows->gather(all, Matrix(batch.values.data(), count, width),
                 std::span(batch.values).subspan(static_cast<std::size_t>(count * width)));
    transform_seconds_ = transform_seconds_ + seconds_since(began);
    if (!done_.push(std::move(batch))) return;
    tell();
  }
}

}  // namespace dtrain::role
