// Dialling: makes the stream of a connection that we begin, and runs it to its end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_connection.h"

namespace evergrove::runtime {

// Connects to connection.peer_address(), says who we are, and runs the connection on this thread
// until it has ended. `is_stopped` is looked at while nothing else can cut the connection.
void run_dialled(const TransportOptions& options, Connection& connection,
                 const std::function<bool()>& is_stopped);

}  // namespace evergrove::runtime
