#include "role/data_doors.hpp"

#include "role/role.hpp"

namespace dtrain::role {

DataDoors::DataDoors(Link& link, const plan::Plan& plan, const Welcome& welcome)
    : strangers_(Log(Level::normal, link.name() + ": ")) {
  link.slow_data(plan.job.faults.inject);
  if (welcome.secure) authenticator_ = std::make_unique<wire::Authenticator>(link.context());
  const wire::Keys keys = wire::binding_keys(link.keys(), wire::Authenticator::listed_keys);
  for (const std::string& endpoint : welcome.bind) {
    const bool secure = welcome.secure && endpoint.starts_with("tcp://");
    sockets_.emplace_back(link.context(), wire::Socket::Pattern::router, "", secure ? &keys : nullptr);
    share_locally(link, plan, endpoint, sockets_.back());
    link.suit_data(sockets_.back());
    if (endpoint.starts_with("tcp://")) guards_.emplace_back(link.context(), sockets_.back());
    endpoints_.push_back(sockets_.back().bind(endpoint));
  }
}

void DataDoors::allow(const std::vector<std::string>& keys) {
  for (const std::string& key : keys)
    if (authenticator_) authenticator_->allow(key);
  allowed_ += keys.size();
  for (Guard& guard : guards_) guard.crowd.expect(2 * allowed_);  // a role may connect for more than one reason
}

void DataDoors::watch(wire::Poller& poller) {
  for (wire::Socket& socket : sockets_) poller.add(socket);
  if (authenticator_) poller.add(authenticator_->get());
  for (Guard& guard : guards_) poller.add(guard.monitor.get());
}

void DataDoors::serve() {
  if (authenticator_) authenticator_->serve();
  for (Guard& guard : guards_)
    while (const auto event = guard.monitor.next()) guard.crowd.note(*event);
  strangers_.note_total("a stranger at the door for data", strangers(), noted_);
}

std::uint64_t DataDoors::strangers() const {
  std::uint64_t count = 0;
  for (const Guard& guard : guards_) count += guard.crowd.failed() + guard.crowd.turned_away();
  return count;
}

}  // namespace dtrain::role
