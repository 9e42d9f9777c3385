#include "role/row_server.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.hpp"
#include "role/row_parcel.hpp"

namespace dtrain::role {

RowServer::RowServer(Link& link, const Welcome& welcome)
    : self_(link.self()), ending_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (ending_ < 0) fail(Kind::environment, "no eventfd for the thread that serves rows");
  if (welcome.secure) authenticator_ = std::make_unique<wire::Authenticator>(context_);
  const wire::Keys keys = wire::binding_keys(link.keys(), wire::Authenticator::listed_keys);
  for (const std::string& endpoint : welcome.bind_rows) {
    const bool secure = welcome.secure && endpoint.starts_with("tcp://");
    doors_.emplace_back(context_, wire::Socket::Pattern::router, "", secure ? &keys : nullptr);
    endpoints_.push_back(doors_.back().bind(endpoint));
  }
}

RowServer::~RowServer() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(ending_, &one, sizeof one);
    thread_.join();
  }
  ::close(ending_);
}

void RowServer::allow(const std::vector<std::string>& keys) {
  for (const std::string& key : keys)
    if (authenticator_) authenticator_->allow(key);
}

void RowServer::serve(std::shared_ptr<const data::Rows> rows, std::uint32_t first, std::uint32_t stride) {
  rows_ = std::move(rows);
  first_ = first, stride_ = stride;
  thread_ = std::thread([this] { run(); });
}

void RowServer::check() const {
  if (failed_) std::rethrow_exception(failure_);
}

void RowServer::run() {
  try {
    answer_all();
  } catch (...) {
    failure_ = std::current_exception();
    failed_ = true;
  }
}

void RowServer::answer_all() {
  for (;;) {
    wire::Poller poller;
    poller.add(ending_);
    for (wire::Socket& door : doors_) poller.add(door);
    if (authenticator_) poller.add(authenticator_->get());
    poller.wait(1000);
    if (poller.ready(0)) return;
    if (authenticator_) authenticator_->serve();
    for (wire::Socket& door : doors_)
      while (const auto message = door.receive(self_.nonce))
        if (message->header.type == wire::Type::want) answer(door, *message);
  }
}

/// Whoever asks for rows that are not here gets no answer: it does not speak of this run's division.
void RowServer::answer(wire::Socket& door, const wire::Message& want) {
  auto rows = rows_wanted(want, rows_->count() * stride_ + first_);
  if (!rows) return;
  for (std::uint32_t& row : *rows) {
    if (row % stride_ != first_ || row / stride_ >= rows_->count()) return;
    row /= stride_;
  }
  send_rows(door, self_, RowOrder::of(want), *rows_, *rows);
}

}  // namespace dtrain::role
