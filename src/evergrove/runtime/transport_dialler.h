// Dialling: makes the stream of a connection that we begin, and runs it to its end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "evergrove/runtime/transport.h"
#include "evergrove/runtime/transport_connection.h"
#include "evergrove/runtime/transport_tls.h"

namespace evergrove::runtime {

// Connects to connection.peer_address(), says who we are, and runs the connection on this thread
// until it has ended. `tls`: null for none.
void run_dialled(const TransportOptions& options, const TransportTls* tls, Connection& connection);

}  // namespace evergrove::runtime
