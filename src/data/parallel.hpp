#pragma once
/// Independent pieces of work on several threads.

#include <cstddef>
#include <functional>

namespace dtrain::data {

/// Calls work(0) .. work(count - 1), each once, on up to `threads` threads, this one included; returns when all are
/// done. Throws what the first of them (by number) threw.
void in_parallel(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& work);

/// The cores that this process may use, at least 1.
std::size_t usable_cores();

}  // namespace dtrain::data
