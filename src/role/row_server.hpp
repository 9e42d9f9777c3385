#pragma once
/// A worker's shard, served to the other workers while it computes: a thread with sockets of its own.

#include <atomic>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "data/data.hpp"
#include "role/link.hpp"

namespace dtrain::role {

class RowServer {
 public:
  /// Listens where the coordinator says (`Welcome::bind_rows`); answers nobody yet. Throws Error(Kind::environment).
  RowServer(Link& link, const Welcome& welcome);
  ~RowServer();
  RowServer(const RowServer&) = delete;
  RowServer& operator=(const RowServer&) = delete;

  const std::vector<std::string>& endpoints() const { return endpoints_; }
  /// Public keys of those who may come by tcp; before serve().
  void allow(const std::vector<std::string>& keys);
  /// Throws what has ended the thread, if something has: requests that were lost.
  void check() const;
  /// Row r of the data is row r / stride of `rows`, where r mod stride is `first`. Until the destructor.
  void serve(std::shared_ptr<const data::Rows> rows, std::uint32_t first, std::uint32_t stride);

 private:
  void run();
  void answer_all();
  void answer(wire::Socket& door, const wire::Message& want);

  wire::Context context_;
  wire::Self self_;
  std::unique_ptr<wire::Authenticator> authenticator_;
  std::deque<wire::Socket> doors_;
  std::vector<std::string> endpoints_;
  int ending_ = -1;  ///< eventfd
  std::shared_ptr<const data::Rows> rows_;
  std::uint32_t first_ = 0, stride_ = 1;
  std::exception_ptr failure_;  ///< of the thread, once failed_
  std::atomic<bool> failed_ = false;
  std::thread thread_;
};

}  // namespace dtrain::role
