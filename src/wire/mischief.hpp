#pragma once
/// What happens on purpose to the data messages of a role, so that tests see it found: for --chaos.
///
/// Shared by the role's sockets and outlives them. One thread, that of the sockets.

namespace dtrain::wire {

struct Mischief {
  int drop = 0;       ///< so many of the next messages get their numbers and are not sent
  int duplicate = 0;  ///< so many are sent twice, with the same number
};

/// Closes the connections of this process but `kept` (a descriptor), under whatever uses them: of Unix sockets and of
/// tcp, made or accepted. Listeners stay. Returns how many.
int cut_connections(int kept);

}  // namespace dtrain::wire
