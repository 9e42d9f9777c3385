#include "role/aside.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/time.hpp"
#include "math/fold.hpp"

namespace dtrain::role {

Aside::Aside(const job::Job& job, const data::Survey& survey, std::filesystem::path run, FaultClock faults)
    : job_(job),
      survey_(survey),
      run_(std::move(run)),
      faults_(std::move(faults)),
      event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_ < 0) fail(Kind::environment, "cannot make an eventfd");
  thread_ = std::thread([this] { this->run(); });
}

Aside::~Aside() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
  ::close(event_);
}

/// A disk that is slower than checkpoints fall due must not be the end of memory, nor of a quick stop.
void Aside::pass_over_saves() {
  std::erase_if(waiting_, [this](Snapshot& older) {
    if (!older.save || older.last) return false;
    older.save = false;
    older.state.moments.clear();
    ++passed_over_;
    if (!older.evaluate) --outstanding_;
    return !older.evaluate;
  });
}

void Aside::hand_over(Snapshot snapshot) {
  ++outstanding_;
  {
    const std::lock_guard lock(mutex_);
    if (snapshot.save) pass_over_saves();
    waiting_.push_back(std::move(snapshot));
  }
  changed_.notify_all();
}

std::optional<AsideResult> Aside::next() {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_, &count, sizeof count);
  if (done_.empty()) return std::nullopt;
  AsideResult result = std::move(done_.front());
  done_.pop_front();
  --outstanding_;
  return result;
}

AsideResult Aside::wait() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !done_.empty(); });
  }
  return std::move(*next());
}

void Aside::run() {
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
    if (closing_) return;
    Snapshot snapshot = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    AsideResult result = process(std::move(snapshot));
    lock.lock();
    done_.push_back(std::move(result));
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t told = ::write(event_, &one, sizeof one);
    changed_.notify_all();
  }
}

/// As a full disk would have it, but for what would be left of the checkpoint.
void Aside::fill_disk(AsideResult& result) {
  if (faults_.empty()) return;
  for (const Fault& fault : faults_.begin(begun_++)) {
    if (fault.action != Fault::Action::disk) continue;
    result.chaos = to_text(fault);
    throw Error(Kind::environment, with_errno("cannot write to " + (run_ / "checkpoints").string(), ENOSPC));
  }
}

AsideResult Aside::process(Snapshot snapshot) {
  AsideResult result;
  try {
    // A gradient may be finite and the step still leave the range of a float.
    if (job_.train.on_nonfinite == job::OnNonfinite::stop && !all_finite(snapshot.state.weights.span()))
      fail(Kind::diverged, "a weight of step {} is not finite; a lower train.optimizer.learning_rate may help",
           snapshot.state.step);
    if (snapshot.evaluate && survey_.facts.test_rows > 0) {
      const Lap lap(result.evaluate_seconds);
      if (!rows_) rows_ = data::load(job_, survey_.encoding, data::Part::test, survey_.facts.hash);
      if (!evaluator_) evaluator_.emplace(job_.model, survey_.encoding, 1);
      result.scores = evaluator_->evaluate(*rows_, snapshot.state.weights.span());
    }
    if (snapshot.save) {
      const Lap lap(result.save_seconds);
      fill_disk(result);
      result.saved = store::save(run_, snapshot.state, static_cast<int>(job_.checkpoint.keep));
    }
  } catch (...) {
    result.failure = std::current_exception();
  }
  result.snapshot = std::move(snapshot);
  return result;
}

}  // namespace dtrain::role
