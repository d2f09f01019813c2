//! Actors as children: a price list that is loaded before the next child starts, and one actor for each order.
//!
//! `cargo run --example actors -- tea boom coffee`
#![allow(clippy::print_stdout, reason = "the output of this example")]

use std::collections::HashMap;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, WrapFuture};
use impresario::prelude::*;

// ANCHOR: factory
/// The price list.
struct Prices(HashMap<&'static str, u32>);

impl Prices {
    /// Stands for a database query: it takes time and may fail.
    async fn load() -> Result<Self, StartError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(Self(HashMap::from([("tea", 2), ("coffee", 3)])))
    }
}

impl Actor for Prices {
    type Context = Context<Self>;
}
// ANCHOR_END: factory

/// Call: the price of an article.
#[derive(Message)]
#[rtype(result = "Option<u32>")]
struct PriceOf(String);

impl Handler<PriceOf> for Prices {
    type Result = Option<u32>;

    fn handle(&mut self, PriceOf(thing): PriceOf, _: &mut Context<Self>) -> Option<u32> {
        assert!(thing != "boom", "the price of boom makes this actor panic");
        self.0.get(thing.as_str()).copied()
    }
}

// ANCHOR: instance
/// One order: requests the price, prints the bill and stops.
struct Order {
    thing: String,
    prices: ChildRef<Prices>,
    env: ChildContext,
}

impl Actor for Order {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (thing, prices, env) = (self.thing.clone(), self.prices.clone(), self.env.clone());
        let bill = async move {
            match prices.call(PriceOf(thing.clone())).wait().await {
                Ok(Some(price)) => println!("{thing}: {price}"),
                Ok(None) => println!("{thing}: we do not have that"),
                // The actor exits with the error of the call as its reason, so its supervisor restarts it.
                Err(error) => env.set_exit_reason(ExitReason::Error(error.to_string())),
            }
        };
        let done = |(), _: &mut Self, ctx: &mut Context<Self>| actix::ActorContext::stop(ctx);
        ctx.spawn(actix::ActorFutureExt::map(bill.into_actor(self), done));
    }
}
// ANCHOR_END: instance

// ANCHOR: start
/// Starts an order for each command line argument.
struct Counter(DynamicRef<String>);

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let orders = self.0.clone();
        let start_orders = async move {
            for thing in std::env::args().skip(1) {
                match orders.start_child(thing).await {
                    Ok(Some(pid)) => println!("order {pid} is taken"),
                    Ok(None) => {}
                    Err(error) => println!("not taken: {error}"),
                }
            }
        };
        ctx.spawn(start_orders.into_actor(self));
    }
}
// ANCHOR_END: start

// ANCHOR: tree
fn main() -> ExitCode {
    let (prices, orders) = (ChildRef::new(), DynamicRef::new());

    let price_list =
        prices.child_spec_async("prices", |_| Prices::load()).start_timeout(Duration::from_secs(5));

    let prices_of_orders = prices.clone();
    let order = DynamicSupervisor::new(move |env: &ChildContext, thing| {
        Ok(Order { thing, prices: prices_of_orders.clone(), env: env.clone() })
    });
    let order = order.restart(Restart::Transient).max_children(100);

    let counter = orders.clone();
    Supervisor::new(Strategy::OneForOne)
        .child(price_list)
        .child(orders.child_spec("orders", order))
        .child(ChildSpec::actor("counter", move |_| Ok(Counter(counter.clone()))))
        .run()
}
// ANCHOR_END: tree
